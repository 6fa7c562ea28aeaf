#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""systemd_test.py SD_ACTIVATE SETTINGS UNITS [NAME...]: starts the socket units of the directory UNITS, or those named, with
systemd and with sd-activate, and compares what their services are passed and which files they leave behind. The page SETTINGS,
docs/unit-support.md, lists the settings of [Socket] that the units must use. Run it in scripts/private-systemd.

Exit status 77: skipped, because this systemd does not know settings of the units."""

import difflib
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time

from reports import PATIENCE, Reports

SD_ACTIVATE, SETTINGS, UNITS = sys.argv[1:4]
# Where files are made. Their paths contain the word "comparison".
DIRECTORIES = '/etc/systemd', '/run', '/var/cache', '/var/lib', '/var/log'
LOG_OF_SYSTEMD = '/run/manager.log'
LOG_OF_SD_ACTIVATE = '/run/sd-activate.log'


def output_of(*command):
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True).stdout


def systemctl(*arguments):
    """Returns whether it succeeds."""
    return subprocess.run(('systemctl',) + arguments, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL).returncode == 0


class Systemd:
    """Socket units that systemd has started, and their service, unless there is one for each connection."""

    def __init__(self, units):
        self._units = units
        self.state = 'started' if systemctl('start', *units) else 'failed to start'
        if self.state == 'started':
            systemctl('start', '--no-block', output_of('systemctl', 'show', '--property=Triggers', '--value', units[0]).strip())

    def stop(self):
        systemctl('stop', *self._units, '*.service')
        systemctl('reset-failed')


class SdActivate:
    """Socket units that sd-activate has started, and their service, unless there is one for each connection."""

    def __init__(self, units):
        command = [SD_ACTIVATE, '--quiet', '--now'] + ['/etc/systemd/system/' + unit for unit in units]
        # The variables that systemd passes on.
        variables = {'LANG': 'C.UTF-8', 'container': 'private-systemd', 'NOTIFY_SOCKET': '/run/ready'}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications, open(LOG_OF_SD_ACTIVATE, 'a') as log:
            notifications.bind('/run/ready')
            self._process = subprocess.Popen(command, cwd='/', env=variables, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=log)
            end = os.pidfd_open(self._process.pid)
            readable, _, _ = select.select([notifications, end], [], [], PATIENCE)
            self.state = 'started' if notifications in readable else 'failed to start' if readable else 'hangs'
            os.close(end)
        os.unlink('/run/ready')

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Observation:
    """What one of them does with the units. Its lines must be the same for the other."""

    def __init__(self, reports):
        self.lines = []
        self.reports = reports
        self._clients = []
        self._ports = []

    def add(self, text):
        self.lines += [line.rstrip() for line in text.splitlines()]

    def add_report(self, normalize=lambda report: report):
        report = self.reports.next()
        self.add('no report' if report is None else normalize(self.normalized(report)))

    def add_reports_at_end(self):
        for report in self.reports.rest():
            self.add(self.normalized(report))

    def add_files(self):
        files = output_of('find', *DIRECTORIES, '-path', '*comparison*', '-printf', '%p %M %u:%g %l\n')
        self.add('\n'.join(sorted(files.splitlines())))

    def connect(self, address, source=None, kind=socket.SOCK_STREAM):
        """Connects to a socket. The client stays until the end."""
        if isinstance(address, str):
            client = socket.socket(socket.AF_UNIX, kind)
            client.connect(address)
        else:
            client = socket.create_connection(address, PATIENCE, source)
            self._ports.append(client.getsockname()[1])
        self._clients.append(client)
        return client

    def disconnect(self):
        for client in self._clients:
            client.close()

    def normalized(self, report):
        for port in self._ports:
            report = re.sub(r'\b%d\b' % port, "the client's port", report)
        report = re.sub('^(variable (?:INVOCATION_ID|MAINPID))=[0-9a-f]+$', r'\1=...', report, flags=re.M)
        report = re.sub('^(variable NOTIFY_SOCKET)=.*$', r'\1=...', report, flags=re.M)
        # Some of what versions of systemd differ in. sd-activate sets LISTEN_PIDFDID and SO_COOKIE, and none of the others.
        report = re.sub(r'^(word \d+([-/]))\d+\2', r'\1', report, flags=re.M)  # SO_COOKIE in the name of an instance
        report = re.sub('^(variable PATH=.*?)(:/sbin:/bin)?$', r'\1', report, flags=re.M)
        return re.sub('^variable ((LISTEN_PIDFDID|MEMORY_PRESSURE_WATCH|MEMORY_PRESSURE_WRITE|MAINPIDFDID|SO_COOKIE|SYSTEMD_EXEC_PID)=.*'
                      '|USER=root)\n', '', report, flags=re.M)


def observe(manager, reports, units, scenario):
    """Starts units, and returns the lines of what there is to see until they are stopped."""
    output_of('find', *DIRECTORIES, '-path', '*comparison*', '-delete')
    seen = Observation(reports)
    if getattr(scenario, 'holds', False):
        reports.hold()
    started = manager(units)
    seen.add(started.state)
    try:
        scenario(seen)
    except OSError as error:
        seen.add(str(error))
    seen.add('files before the end:')
    seen.add_files()
    reports.release()
    seen.disconnect()
    started.stop()
    seen.add('reports and files at the end:')
    seen.add_reports_at_end()
    seen.add_files()
    return seen.lines


# --- what happens after the start ----------------------------------------------------------------------------------------

def reports(count):
    def scenario(seen):
        for _ in range(count):
            seen.add_report()
    return scenario


def holding(scenario):
    """Lets processes that report run until the end, from the first one on, which may report before the scenario begins."""
    scenario.holds = True
    return scenario


@holding
def report_of_service_that_stays(seen):
    seen.add_report()


def report_of_several_units(seen):
    def normalize(report):
        """Sorts the descriptors by name: systemd passes those of one unit in order, but the units in any order."""
        names = re.search('^variable LISTEN_FDNAMES=(.*)\n', report, re.M)
        rest, *descriptors = re.split(r'^descriptor \d+', report.replace(names[0], ''), flags=re.M)
        named = zip(names[1].split(':'), descriptors)
        return rest + ''.join(name + text for name, text in sorted(named, key=lambda each: each[0]))
    seen.add_report(normalize)


def one_client(seen):
    seen.connect(('127.0.0.1', 8020))
    seen.add_report()


def clients_of_each_socket(seen):
    for address in ('127.0.0.1', 8020), ('::1', 8020), ('127.0.0.1', 8021), ('::1', 8021), '/run/comparison/stream':
        seen.connect(address)
        seen.add_report()
    seen.connect('/run/comparison/packets', kind=socket.SOCK_SEQPACKET)
    seen.add_report()


def more_clients_than_allowed(sources):
    @holding
    def scenario(seen):
        for source in sources:
            seen.connect(('127.0.0.1', 8020), (source, 0))
            seen.add_report()
        try:
            is_refused = seen.connect(('127.0.0.1', 8020)).recv(1) == b''
        except ConnectionResetError:
            is_refused = True
        seen.add('the next client is %s' % ('refused' if is_refused else 'served'))
    return scenario


@holding
def datagrams_for_service_that_does_not_read(seen):
    seen.add_report()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(('127.0.0.1', 8022))
        client.send(b'first')
        seen.reports.release()
        # The queue is emptied some time after the service has ended. What arrives before is lost as well.
        report = None
        for _ in range(10 * PATIENCE):
            client.send(b'second')
            report = seen.reports.next(0.1)
            if report:
                break
        seen.add(seen.normalized(report or 'no second report'))


def sockets_are_closed(seen, address):
    """Waits until the address refuses connections."""
    for _ in range(100 * PATIENCE):
        try:
            socket.create_connection(address, PATIENCE).close()
        except OSError:
            return seen.add('the sockets are closed')
        time.sleep(0.01)
    seen.add('the sockets stay open')


def service_that_reaches_its_start_limit(seen):
    for _ in range(3):
        seen.add_report()
    sockets_are_closed(seen, ('127.0.0.1', 8030))


@holding
def service_whose_watchdog_expires(seen):
    seen.add_report()
    seen.add_report()


def client_that_is_never_accepted(seen):
    """The service ends without having served it, so it starts the service again and again."""
    seen.add_report()
    seen.connect(('127.0.0.1', 8020))
    seen.add_report()
    seen.add_report()
    sockets_are_closed(seen, ('127.0.0.1', 8020))


SCENARIOS = {
    'accept-inetd.socket': one_client,
    'accept-nonblocking.socket': one_client,
    'accept.socket': clients_of_each_socket,
    'command-fails.socket': reports(0),
    'command-hangs.socket': reports(0),
    'commands.socket': reports(5),
    'flush.socket': datagrams_for_service_that_does_not_read,
    'most-connections.socket': more_clients_than_allowed(['127.0.0.1', '127.0.0.1']),
    'most-per-source.socket': more_clients_than_allowed(['127.0.0.1', '127.0.0.2']),
    'newer-accept.socket': one_client,
    'newer.socket': reports(2),
    'service-directories.socket': report_of_service_that_stays,
    'service-commands.socket': reports(4),
    'service-ends.socket': reports(2),
    'service-prefixes.socket': reports(2),
    'special-unwatchable.socket': reports(0),
    'service-restarts.socket': service_that_reaches_its_start_limit,
    'service-watchdog.socket': service_whose_watchdog_expires,
    'trigger-limit.socket': client_that_is_never_accepted,
    'several-a.socket several-b.socket several-c.socket': report_of_several_units,
}


# --- all units -----------------------------------------------------------------------------------------------------------

def names_of_units():
    """Returns the units. Those that are started together are one name."""
    names = {name.replace('@.', '@a-b.') for name in os.listdir(UNITS) if name.endswith('.socket')}
    for together in SCENARIOS:
        if ' ' in together:
            names = names - set(together.split()) | {together}
    # Debian 12's systemd does not know settings of the last ones. Another test starts them.
    return sorted(name for name in names if not name.startswith('newer'))


def settings_without_unit():
    page = open(SETTINGS).read()
    section = page[page.index('## Honored in `[Socket]`'):page.index('## Honored in `[Service]`')]
    used = output_of('grep', '-rhoE', '^[A-Za-z0-9]+=.', UNITS, '--include=*.socket')
    return set(re.findall('^[|] `([A-Za-z0-9]+=)`', section, re.M)) - {line[:-1] for line in used.splitlines()}


def main():
    # The limit that systemd gives its services. sd-activate passes its own on.
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for directory in DIRECTORIES:
        if directory.startswith('/var'):
            subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', directory], check=True)
    os.mkdir('/run/queues')
    subprocess.run(['mount', '-t', 'mqueue', 'mqueue', '/run/queues'], check=True)
    received = Reports('/run/reports')
    names = sys.argv[4:] or names_of_units()
    problems = 0
    for name in names:
        scenario = SCENARIOS.get(name, reports(1))
        expected = observe(Systemd, received, name.split(), scenario)
        actual = observe(SdActivate, received, name.split(), scenario)
        difference = list(difflib.unified_diff(expected, actual, name + ' by systemd', name + ' by sd-activate', lineterm=''))
        if difference:
            problems += 1
            print('\n'.join(difference))
    unknown = set(re.findall("Unknown key .*", open(LOG_OF_SYSTEMD).read()))
    if unknown:
        print('SKIPPED: this systemd is too old:', *sorted(unknown), sep='\n')
        return 77
    if problems:
        print(output_of('grep', '^<2[0-7]>systemd', LOG_OF_SYSTEMD), open(LOG_OF_SD_ACTIVATE).read(), sep='\n')
    print('%d of %d are the same' % (len(names) - problems, len(names)))
    for setting in sorted(settings_without_unit()):
        problems += 1
        print('there is no unit with ' + setting)
    return 1 if problems else 0


sys.exit(main())
