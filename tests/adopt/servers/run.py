# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs servers on their own ports and on passed sockets, and counts the clients that they lose when they are restarted.
scripts/adopt-servers describes it."""
import argparse
import collections
import concurrent.futures
import contextlib
import ctypes
import dataclasses
import glob
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid

import clients
from servers import SERVERS, Server

ACTIVATE = os.path.abspath('build/dev/activate/sd-activate')
LIBRARY = os.path.abspath('build/dev/activate/libsd-adopt.so')
PAGE = 'docs/adopt.md'
UNITS = '/etc/systemd/system'
LONGEST = 60  # seconds for a start or a stop
SLACK = 0.1  # seconds by which events may be seen late
BETWEEN = 0.5  # seconds from one restart to the next, after the server has replied


class Failure(Exception):
    """The server does not do what it should."""


def wait_for(condition, what: str) -> None:
    end = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > end:
            raise Failure(f'waited {LONGEST} s for {what}')
        time.sleep(0.01)


def free_port() -> int:
    """Returns a port that is free for both TCP and UDP."""
    while True:
        with socket.socket(type=socket.SOCK_STREAM) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(('127.0.0.1', 0))
            try:
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]
            except OSError:
                pass


# --- clients ---

@dataclasses.dataclass
class Loss:
    kind: str
    reason: str
    begin: float
    end: float


def outcome_of(target: tuple) -> str:
    """Runs a client. Returns why it is lost, or an empty string if it is not."""
    try:
        clients.ask(*target)
        return ''
    except clients.Lost as lost:
        return str(lost)


class Load:
    """Clients at a steady rate, which take turns on the sockets."""

    def __init__(self, targets: list[tuple], rate: float) -> None:
        self.losses: list[Loss] = []
        self._targets, self._rate = targets, rate
        self._stop = threading.Event()
        self._clients: list[threading.Thread] = []
        self._main = threading.Thread(target=self._run, daemon=True)
        self._main.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0, due - time.monotonic())):
            target = self._targets[len(self._clients) % len(self._targets)]
            self._clients.append(threading.Thread(target=self._ask, args=target, daemon=True))
            self._clients[-1].start()
            due += 1 / self._rate

    def _ask(self, *target) -> None:
        begin = time.monotonic()
        if outcome := outcome_of(target):
            self.losses.append(Loss(target[0], outcome, begin, time.monotonic()))

    def count(self) -> int:
        return len(self._clients)

    def stop(self) -> None:
        self._stop.set()
        self._main.join()
        for client in self._clients:
            client.join()

    def has_caught_up(self) -> bool:
        """Returns whether no more clients wait than arrive in half a second."""
        return sum(client.is_alive() for client in list(self._clients)) <= self._rate / 2


# --- processes ---

IS_OVER = threading.Event()  # no more processes are started


def spawn(command: list[str], log, **options) -> subprocess.Popen:
    if IS_OVER.is_set():
        raise Failure('interrupted')
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                            **options)


def living_children() -> list[int]:
    children = []
    for path in glob.glob('/proc/[0-9]*/stat'):
        with contextlib.suppress(OSError), open(path, encoding='utf-8', errors='replace') as file:
            state, parent = file.read().rpartition(') ')[2].split()[:2]
            if int(parent) == os.getpid() and state != 'Z':
                children.append(int(path.split('/')[2]))
    return children


def kill_descendants() -> None:
    """Kills all processes that were started from here. Orphans become children of this process."""
    IS_OVER.set()
    quiet = 0
    while quiet < 3:  # a thread may be starting another one
        children = living_children()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        quiet = 0 if children else quiet + 1
        time.sleep(0.1)


# --- three ways to run a server ---

class Way:
    """A server in a directory of its own."""
    name = ''

    def __init__(self, server: Server, number: int, root: str) -> None:
        self.server = server
        self.unit = f'{re.sub("[^a-z0-9]", "", server.name.lower())}-{number}-{type(self).__name__.lower()}'
        self.directory = f'{root}/{self.unit}'
        self.log = f'{self.directory}/log'
        self.stops: list[tuple[float, float]] = []  # when a process was being stopped
        port = free_port()
        values = {'directory': self.directory, 'port': str(port)}
        values['unix'] = f'{self.directory}/' + server.unix.replace('@port@', str(port))
        values['unix-in-url'] = values['unix'].replace('/', '%2F')

        def fill(text: str) -> str:
            return re.sub('@([a-z-]+)@', lambda name: values[name[1]], text)
        self.command, self.environment = fill(server.command), fill(server.environment)
        self.addresses = {kind: values['unix'] if kind == 'unix' else f'127.0.0.1:{port}' for kind in server.sockets}
        self.targets = [(kind, values['unix'] if kind == 'unix' else ('127.0.0.1', port), steps, server.rejection)
                        for kind, steps in server.sockets.items()]
        os.mkdir(self.directory)
        os.chmod(self.directory, 0o755)
        with open(self.log, 'xb'):
            pass
        if server.user and os.geteuid() == 0:
            shutil.chown(self.directory, server.user)
        for name, text in {'index.html': 'hello', **server.files}.items():
            with open(f'{self.directory}/{name}', 'w', encoding='utf-8') as file:
                file.write(fill(text))
        self.call(['sh', '-euc', fill(server.setup)], **self.user())

    def user(self) -> dict[str, str]:
        return {'user': self.server.user, 'group': self.server.user} if self.server.user and os.geteuid() == 0 else {}

    def call(self, command: list[str], **options) -> str:
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LONGEST, cwd=self.directory, check=False, **options)
        if done.returncode != 0:
            raise Failure(f'{shlex.join(command)}: {done.stdout}')
        return done.stdout

    def write_units(self, directory: str) -> None:
        """Writes a socket unit and a service unit."""
        # As with a server on its own port, only the main process gets the signal.
        service = ['[Unit]', 'StartLimitIntervalSec=0', '[Service]', 'ExecStart=' + self.command.replace('%', '%%'),
                   'KillMode=process', f'KillSignal=SIG{self.server.stop}', f'WorkingDirectory={self.directory}',
                   'Environment=SD_ADOPT_VERBOSE=1 ' + self.environment]
        if user := self.user():
            service.append(f'User={user["user"]}')
        listen = {'TCP': 'ListenStream', 'unix': 'ListenStream', 'UDP': 'ListenDatagram'}
        sockets = ['[Socket]', 'TriggerLimitIntervalSec=0']
        sockets += [f'{listen[kind]}={address}' for kind, address in self.addresses.items()]
        for name, lines in {'service': service, 'socket': sockets}.items():
            with open(f'{directory}/{self.unit}.{name}', 'w', encoding='utf-8') as file:
                file.write('\n'.join(lines) + '\n')

    def first_replies(self) -> None:
        """Connects to each socket once. Before that, the server does not run."""
        if self.is_running():
            raise Failure('was started before its first client')
        for target in self.targets:
            if (outcome := outcome_of(target)) not in ('', 'rejected'):
                raise Failure(f'lost the first client: {target[0]} {outcome}')
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        for target in self.targets:
            wait_for(lambda: not outcome_of(target), f'a reply over {target[0]}')

    def check_end(self) -> None:
        """Verifies that no process listens any more."""
        for target in self.targets:
            wait_for(lambda: outcome_of(target) == 'refused', f'the end of the {target[0]} socket')

    def read_log(self) -> str:
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return file.read()

    def check_adoptions(self) -> None:
        """Verifies that each socket was adopted as often as the server ran."""
        log = self.read_log()
        for address, needed in collections.Counter(self.addresses.values()).items():
            adopted = log.count(f'adopted the passed socket at {address}\n')
            if adopted < needed * self.runs():
                raise Failure(f'adopted {address} {adopted} times in {self.runs()} runs')
        if found := re.search('.*(has not adopted|cannot be adopted).*', log):
            raise Failure(found[0])

    def check_losses(self, losses: list[Loss], restarts: int) -> None:
        """Verifies that a process has accepted what was lost."""
        for loss in losses:
            may_be_lost = ('closed', 'reset', 'rejected' if self.server.rejection else '',
                           'no reply' if loss.kind == 'UDP' else '')
            if loss.reason not in may_be_lost:
                raise Failure(f'lost a client: {loss.kind} {loss.reason}')

    def start(self) -> None:
        """Opens the sockets."""
        raise NotImplementedError

    def is_running(self) -> bool:
        raise NotImplementedError

    def runs(self) -> int:
        raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


class Own(Way):
    """The server binds its own sockets. A restart stops it, and starts it as soon as it has ended."""
    name = 'own port'

    def start(self) -> None:
        variables = {'INVOCATION_ID': uuid.uuid4().hex}
        command = [word.replace('${INVOCATION_ID}', variables['INVOCATION_ID']) for word in shlex.split(self.command)]
        variables.update(word.split('=', 1) for word in shlex.split(self.environment))
        with open(self.log, 'a', encoding='utf-8') as log:
            self.process = spawn(command, log, cwd=self.directory, env={'PATH': os.environ['PATH'], **variables},
                                 **self.user())

    def first_replies(self) -> None:
        self.wait_until_ready()

    def check_adoptions(self) -> None:
        pass

    def check_losses(self, losses: list[Loss], restarts: int) -> None:
        pass

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        self.process.send_signal(getattr(signal, f'SIG{self.server.stop}'))
        self.process.wait(LONGEST)


class Systemd(Way):
    """systemd passes the sockets, with libsd-adopt in LD_PRELOAD."""
    name = 'systemd'

    def __init__(self, server: Server, number: int, root: str) -> None:
        super().__init__(server, number, root)
        self.restarts = 0
        self.write_units(UNITS)
        os.mkdir(f'{UNITS}/{self.unit}.service.d')
        with open(f'{UNITS}/{self.unit}.service.d/adopt.conf', 'w', encoding='utf-8') as file:
            file.write(f'[Service]\nEnvironment=LD_PRELOAD={LIBRARY}\n'
                       f'StandardOutput=append:{self.log}\nStandardError=append:{self.log}\n')

    def start(self) -> None:
        self.call(['systemctl', 'start', f'{self.unit}.socket'])

    def _state(self) -> str:
        return self.call(['systemctl', 'show', '-P', 'ActiveState', f'{self.unit}.service']).strip()

    def is_running(self) -> bool:
        return self._state() == 'active'

    def runs(self) -> int:
        return 1 + self.restarts

    def restart(self) -> None:
        self.restarts += 1
        self.call(['systemctl', 'restart', f'{self.unit}.service'])

    def stop(self) -> None:
        self.call(['systemctl', 'stop', f'{self.unit}.socket', f'{self.unit}.service'])
        if self._state() not in ('inactive', 'failed'):
            raise Failure(f'has not stopped: {self._state()}')


class Activate(Way):
    """sd-activate passes the sockets. A restart overlaps, if the server can run twice."""
    name = 'sd-activate'

    def start(self) -> None:
        self.write_units(self.directory)
        self.events: list[dict] = []
        reader, writer = os.pipe()
        with open(self.log, 'a', encoding='utf-8') as log:
            socket_unit = f'{self.directory}/{self.unit}.socket'
            self.process = spawn([ACTIVATE, '-v', '--adopt', '--json', str(writer), socket_unit], log,
                                 pass_fds=[writer])
        os.close(writer)
        threading.Thread(target=self._read, args=(reader,), daemon=True).start()
        wait_for(lambda: self._count('listening') == len(self.server.sockets), 'sd-activate to listen')

    def _read(self, reader: int) -> None:
        with open(reader, encoding='utf-8') as lines:
            for line in lines:
                self.events.append({'at': time.monotonic(), **json.loads(line)})

    def _count(self, event: str) -> int:
        return sum(each['event'] == event for each in self.events)

    def is_running(self) -> bool:
        return self._count('started') > 0

    def runs(self) -> int:
        return self._count('started')

    def restart(self) -> None:
        exited, restarted = self._count('exited'), self._count('restarted')
        begin = time.monotonic()
        if not self.server.obstacle:
            self.process.send_signal(signal.SIGHUP)
            wait_for(lambda: self._count('restarted') > restarted, 'a restart')
            begin = next(each['at'] for each in reversed(self.events) if each['event'] == 'restarted')
        else:
            started = next(each for each in reversed(self.events) if each['event'] == 'started')
            os.kill(started['pid'], getattr(signal, f'SIG{self.server.stop}'))
        wait_for(lambda: self._count('exited') > exited, 'the end of the old process')
        self.stops.append((begin, time.monotonic()))

    def check_losses(self, losses: list[Loss], restarts: int) -> None:
        """Verifies that the process that was stopped has lost them, and not more than it may accept meanwhile."""
        super().check_losses(losses, restarts)
        if self.server.obstacle:
            return
        for loss in losses:
            end = loss.begin if loss.reason == 'no reply' else loss.end
            if not any(loss.begin < stopped + SLACK and end > stop - SLACK for stop, stopped in self.stops):
                raise Failure(f'lost a client when no process was being stopped: {loss.kind} {loss.reason}')
        if sum(loss.reason != 'rejected' for loss in losses) > 2 * restarts:
            raise Failure(f'lost more than two clients for each restart: {len(losses)}')

    def stop(self) -> None:
        self.process.terminate()
        status = self.process.wait(LONGEST)
        if status != 0:
            raise Failure(f'the exit status of sd-activate is {status}')


# --- running ---

@dataclasses.dataclass
class Result:
    clients: int = 0
    losses: list[Loss] = dataclasses.field(default_factory=list)
    failure: str = ''

    def __str__(self) -> str:
        return f'{len(self.losses):,} of {self.clients:,}'


def run(way: Way, restarts: int) -> Result:
    result = Result()
    load = None
    try:
        way.start()
        way.first_replies()
        load = Load(way.targets, way.server.rate)
        for _ in range(restarts):
            time.sleep(BETWEEN)
            way.restart()
            way.wait_until_ready()
            wait_for(load.has_caught_up, 'the server to reply to the clients that have waited')
        time.sleep(BETWEEN)
        load.stop()
        result.clients, result.losses = load.count(), load.losses
        if result.clients < restarts * BETWEEN * way.server.rate:
            raise Failure(f'only {result.clients} clients could be started')
        way.stop()
        way.check_end()
        way.check_adoptions()
        way.check_losses(load.losses, restarts)
    except (Failure, subprocess.TimeoutExpired) as failure:
        result.failure = str(failure)
    except Exception:  # pylint: disable=broad-exception-caught
        result.failure = traceback.format_exc()
    if load:
        load.stop()
    return result


def report(way: Way, result: Result) -> None:
    title = f'{way.server.name}, {way.name}'
    reasons = collections.Counter(f'{loss.kind} {loss.reason}' for loss in result.losses)
    print(f'{title}: lost {result}', *(f'{count} {reason}' for reason, count in reasons.items()), sep=', ', flush=True)
    if result.failure:
        print(f'{title}: failed: {result.failure}\n{way.read_log()[-3000:]}', flush=True)


def version(package: str) -> str:
    """Returns the version of a package without its epoch and the additions of Debian. Empty if it is not installed."""
    query = subprocess.run(['dpkg-query', '-W', '-f', '${db:Status-Status} ${Version}', package], capture_output=True,
                           text=True, check=False)
    found = re.match('installed (?:[0-9]+:)?([0-9.]+(p[0-9]+)?)', query.stdout)
    return found[1] if found else ''


def table(results: list[tuple[Way, Result]]) -> str:
    lines = ['| program | options | sockets | overlap | own port | systemd | sd-activate |', '|' + '---|' * 7]
    for server in SERVERS:
        cells = {way.name: 'failed' if result.failure else str(result)
                 for way, result in results if way.server is server}
        if cells:
            row = [f'{server.name} {version(server.package)}', server.options, ', '.join(server.sockets),
                   f'no: {server.obstacle}' if server.obstacle else 'yes']
            lines.append(f'| {" | ".join(row + [cells.get(way.name, "–") for way in (Own, Systemd, Activate)])} |')
    return '\n'.join(lines).replace('|  |', '| |') + '\n'


def update(text: str) -> None:
    """Writes the table into the page."""
    with open(PAGE, 'r+', encoding='utf-8') as file:
        page = re.sub('(?<=<!-- servers -->\n).*(?=<!-- /servers -->)', lambda _: f'\n{text}\n', file.read(),
                      flags=re.DOTALL)
        file.seek(0)
        file.write(page)
        file.truncate()


def main() -> int:
    parser = argparse.ArgumentParser(prog='scripts/adopt-servers')
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.add_argument('--update', action='store_true')
    parser.add_argument('--restarts', type=int, default=20)
    parser.add_argument('--jobs', type=int, default=4)
    parser.add_argument('--packages', action='store_true', help='print the packages of the servers')
    options = parser.parse_args()
    chosen = [each for each in SERVERS if not options.names or each.name in options.names]
    if unknown := set(options.names) - {each.name for each in SERVERS}:
        parser.error(f'unknown server: {" ".join(unknown)}')
    if options.update and options.names:
        parser.error('--update is for all servers')
    if options.packages:
        print(*sorted({package for each in chosen for package in f'{each.package} {each.more_packages}'.split()}))
        return 0

    for each in chosen:
        if not version(each.package):
            print(f'{each.name}: skipped: {each.package} is not installed')
    chosen = [each for each in chosen if version(each.package)]
    # scripts/private-systemd makes this file. Units of another systemd are left alone.
    ways = [Own, Systemd, Activate] if os.path.exists('/run/kmsg') else [Own, Activate]
    needed = [each.needs for each in chosen if each.needs and not os.path.exists(each.needs)]
    root = tempfile.mkdtemp()
    os.chmod(root, 0o755)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results: list[tuple[Way, Result]] = []
    status = 1
    try:
        for path in needed:
            os.mkdir(path)
        tasks = [way(server, number, root) for number, server in enumerate(chosen) for way in ways]
        if Systemd in ways:
            subprocess.run(['systemctl', 'daemon-reload'], check=True)
        pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
        for way, result in zip(tasks, pool.map(lambda way: run(way, options.restarts), tasks)):
            report(way, result)
            results.append((way, result))
        print(table(results))
        if options.update:
            update(table(results))
        status = int(any(result.failure for _, result in results))
    except KeyboardInterrupt:
        status = 130
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    except Exception:  # pylint: disable=broad-exception-caught
        traceback.print_exc()
    kill_descendants()
    for path in [root, *needed]:
        shutil.rmtree(path, ignore_errors=True)
    sys.stdout.flush()
    os._exit(status)  # without waiting for threads


if __name__ == '__main__':
    sys.exit(main())
