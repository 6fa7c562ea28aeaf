#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""adopted SD_ACTIVATE [ROUNDS [SECONDS]]: measures nginx and redis-server with a port of their own, with a socket that
libsd-adopt gave them, and behind systemd-socket-proxyd. In each round, all of them take turns. Prints a table of
requests a second and latencies relative to the first. A second instance with its own port shows the noise."""
import contextlib
import csv
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

PROXY = '/usr/lib/systemd/systemd-socket-proxyd'
CLIENTS = '32'
OWN = 'own port'
WAYS = [OWN, 'own port, again', 'adopted', 'systemd-socket-proxyd']
KEPT = 'kept connections'
NEW = 'a connection for each request'
# Prints what a run has measured: requests a second, and microseconds.
WRK_SCRIPT = '''
function done(summary, latency)
  local failures = 0
  for _, count in pairs(summary.errors) do failures = failures + count end
  io.write(("result %f %f %f %d\\n"):format(
    summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(99), failures))
end
'''


class Measurement(NamedTuple):
    rate: float
    p50: float
    p99: float


class Server(NamedTuple):
    name: str
    command: Callable[[str, int], list[str]]
    loads: dict[str, Callable[[int, int, str], Measurement]]


# --- loads ---

def run_wrk(port: int, seconds: int, directory: str, *options: str) -> Measurement:
    script = f'{directory}/report.lua'
    with open(script, 'w', encoding='utf-8') as file:
        file.write(WRK_SCRIPT)
    command = ['wrk', '-t1', f'-c{CLIENTS}', f'-d{seconds}', '-s', script, *options, f'http://127.0.0.1:{port}/']
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    *values, failures = next(line for line in output.splitlines() if line.startswith('result')).split()[1:]
    if failures != '0':
        sys.exit(f'adopted: {failures} requests to port {port} failed')
    return Measurement(*map(float, values))


def run_redis_benchmark(port: int, count: int, *options: str) -> Measurement:
    command = ['redis-benchmark', '-p', str(port), '-c', CLIENTS, '-n', str(count), '-t', 'get', '--csv', *options]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    row = next(csv.DictReader(output.splitlines()))
    return Measurement(float(row['rps']), float(row['p50_latency_ms']), float(row['p99_latency_ms']))


# --- servers ---

def nginx(directory: str, port: int) -> list[str]:
    path = f'{directory}/nginx-{port}.conf'
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'daemon off; pid {directory}/nginx-{port}.pid; error_log stderr;\n'
                   'events {}\n'
                   f'http {{ access_log off; server {{ listen 127.0.0.1:{port}; return 200 "hello"; }} }}\n')
    return ['nginx', '-c', path]


def redis(directory: str, port: int) -> list[str]:
    return ['redis-server', '--bind', '127.0.0.1', '--port', str(port), '--save', '', '--dir', directory]


SERVERS = [
    Server('nginx', nginx, {
        KEPT: run_wrk,
        NEW: lambda port, seconds, directory: run_wrk(port, seconds, directory, '-H', 'Connection: close'),
    }),
    Server('redis-server', redis, {
        KEPT: lambda port, seconds, _: run_redis_benchmark(port, 50_000 * seconds),
        NEW: lambda port, seconds, _: run_redis_benchmark(port, 10_000 * seconds, '-k', '0'),
    }),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    """Waits until a server accepts connections. The first one starts a service of sd-activate."""
    for _ in range(200):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(('127.0.0.1', port)):
            return
        time.sleep(0.05)
    sys.exit(f'adopted: nobody listens at port {port}')


@contextlib.contextmanager
def running(activate: str, server: Server, directory: str) -> Iterator[dict[str, int]]:
    """Runs the server in each way. Yields the ports."""
    ports = {way: free_port() for way in WAYS}
    behind_proxy = free_port()
    on_demand = [activate, '-q', '-l']
    commands = {way: server.command(directory, port) for way, port in ports.items()}
    commands['adopted'] = [*on_demand, f'127.0.0.1:{ports["adopted"]}', '--adopt', '--', *commands['adopted']]
    commands[WAYS[-1]] = [*on_demand, f'127.0.0.1:{ports[WAYS[-1]]}', '--', PROXY, f'127.0.0.1:{behind_proxy}']
    processes = []
    try:
        for command in [server.command(directory, behind_proxy), *commands.values()]:
            # pylint: disable-next=consider-using-with
            processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        for port in [behind_proxy, *ports.values()]:
            wait_for(port)
        yield ports
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


# --- the result ---

def measure(activate: str, rounds: int, seconds: int) -> Iterator[tuple[str, str, dict[str, list[Measurement]]]]:
    for server in SERVERS:
        with tempfile.TemporaryDirectory() as directory, running(activate, server, directory) as ports:
            for load, run in server.loads.items():
                results: dict[str, list[Measurement]] = {way: [] for way in WAYS}
                for number in range(rounds):
                    # Each round begins with another one.
                    for i in range(len(WAYS)):
                        way = WAYS[(number + i) % len(WAYS)]
                        results[way].append(run(ports[way], seconds, directory))
                yield server.name, load, results


def ratios(results: dict[str, list[Measurement]], way: str, field: str) -> str:
    """The median and the range of the ratios of all rounds."""
    values = [getattr(here, field) / getattr(own, field) for here, own in zip(results[way], results[OWN])]
    return f'{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})'


def main() -> None:
    activate = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    missing = [name for name in ('nginx', 'redis-benchmark', 'redis-server', 'wrk', PROXY) if not shutil.which(name)]
    if missing:
        sys.exit(f'adopted: not installed: {", ".join(missing)}')
    print('| server | load | socket | requests a second | p50 | p99 |\n|---|---|---|---|---|---|')
    for server, load, results in measure(activate, rounds, seconds):
        own = results[OWN]
        absolute = f'{statistics.median(each.rate for each in own):,.0f} = 1'
        print(f'| {server} | {load} | {OWN} | {absolute} | 1 | 1 |')
        for way in WAYS[1:]:
            row = ' | '.join(ratios(results, way, field) for field in Measurement._fields)
            print(f'| {server} | {load} | {way} | {row} |', flush=True)


main()
