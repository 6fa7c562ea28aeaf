#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""socket_activate_test.py SD_ACTIVATE REPORT: runs a table of invocations by systemd-socket-activate and by sd-activate, and
compares the environment and the descriptors of the program REPORT, and the exit status. What differs on purpose is named.

Exit status 77: skipped, because there is no systemd-socket-activate."""

import difflib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from reports import PATIENCE, Reports

SD_ACTIVATE, REPORT = sys.argv[1:]
THEIRS = shutil.which('systemd-socket-activate')
VARIABLES = {'CALLER': 'yes', 'HOME': '/home', 'LISTEN_FDS': '7', 'LISTEN_PID': '1', 'NOTIFY_SOCKET': '/none',
             'PATH': '/usr/bin:/bin', 'REMOTE_ADDR': 'other', 'TERM': 'dumb', 'USER': 'caller'}

# Lines that only one of the two services reports, and why.
DIFFERENCES = {
    '^variable CALLER=yes$': 'the whole environment is passed on, and not some variables',
    '^variable (INVOCATION_ID|LISTEN_PIDFDID|REMOTE_PORT)=': "as systemd does; Debian 12's systemd-socket-activate does not",
    '^variable REMOTE_ADDR=(127|::1)': 'likewise',
    '^variable LISTEN_FDNAMES=(sd-activate.socket(:sd-activate.socket)*|connection)$': 'without --fdname, as in a socket unit',
    '^variable LISTEN_FDNAMES=first(:second)?$': 'there is a name for each socket, and no more',
    '^variable LISTEN_FDNAMES=one:two(:sd-activate.socket)?$': 'likewise',
    '^variable NOT_SET=$': 'a variable that the caller does not have is not set',
}
# Differences of the exit status: those of systemd-socket-activate, that of sd-activate, and why.
COMMAND_LINE = [1], 2, 'wrong command lines have an exit status of their own'
INPUT = [1], 3, 'and so has what is wrong with an address'
KILLED = [-9], 128 + 9, 'sd-activate reports how its service has ended'
MISSING = [0, 1], 3, 'sd-activate looks for the program before it listens'
STOPPED = [-15], 0, 'sd-activate ends by itself when it is told to stop'
TOO_MANY = [0, 1], 2, 'sd-activate rejects what it could not pass before it listens'
SAME = None


def tcp(host):
    return lambda there: socket.create_connection((host, there['port']), PATIENCE)


def unix(name, kind=socket.SOCK_STREAM):
    def connect(there):
        client = socket.socket(socket.AF_UNIX, kind)
        client.connect(name.format(**there))
        return client
    return connect


def datagram(there):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(('127.0.0.1', there['port']))
    client.send(b'first')
    client.send(b'second')  # which fails if nobody received the first one
    return client


NO_CLIENT = None
PACKETS = unix('{path}', socket.SOCK_SEQPACKET)
LOCAL = '127.0.0.1:{port}'

# Arguments, where {report} is REPORT and {path}, {port} are free; the client; and the exit status if it differs.
INVOCATIONS = [
    # Addresses
    ('-l {port} {report}', tcp('127.0.0.1'), SAME),
    ('-l {port} {report}', tcp('::1'), SAME),
    ('--listen=127.0.0.1:{port} {report}', tcp('127.0.0.1'), SAME),
    ('-l [::1]:{port} {report}', tcp('::1'), SAME),
    ('-l {path} {report}', unix('{path}'), SAME),
    ('-l {path}/and/another {report}', unix('{path}/and/another'), SAME),
    ('-l @{path} {report}', unix('\0{path}'), SAME),
    ('-l 127.0.0.1:{port} -l {path} -l @{path} {report}', unix('{path}'), SAME),
    ('-l nonsense {report}', NO_CLIENT, INPUT),
    ('-l 1.2.3.4.5:1 {report}', NO_CLIENT, INPUT),
    ('-l 127.0.0.1:70000 {report}', NO_CLIENT, INPUT),
    ('-l / {report}', NO_CLIENT, INPUT),
    ('-l /proc/none/socket {report}', NO_CLIENT, SAME),
    ('-l 192.0.2.1:{port} {report}', NO_CLIENT, SAME),
    # Types
    ('-d -l 127.0.0.1:{port} {report}', datagram, SAME),
    ('--datagram -l 127.0.0.1:{port} -l {path} {report}', datagram, SAME),
    ('--seqpacket -l {path} {report}', PACKETS, SAME),
    ('--seqpacket -l 127.0.0.1:{port} {report}', NO_CLIENT, INPUT),
    ('-d --seqpacket -l {path} {report}', NO_CLIENT, COMMAND_LINE),
    ('-d -a -l {path} {report}', NO_CLIENT, COMMAND_LINE),
    # Names
    ('--fdname=a -l 127.0.0.1:{port} {report}', tcp('127.0.0.1'), SAME),
    ('--fdname=a -l 127.0.0.1:{port} -l {path} {report}', tcp('127.0.0.1'), SAME),
    ('--fdname=a:b -l 127.0.0.1:{port} -l {path} {report}', tcp('127.0.0.1'), SAME),
    ('--fdname a --fdname b -l 127.0.0.1:{port} -l {path} {report}', tcp('127.0.0.1'), SAME),
    ('--fdname=first:second -l 127.0.0.1:{port} {report}', tcp('127.0.0.1'), SAME),
    ('--fdname=one:two -l 127.0.0.1:{port} -l {path} -l @{path} {report}', tcp('127.0.0.1'), SAME),
    ('-a --fdname=a -l 127.0.0.1:{port} {report}', tcp('127.0.0.1'), STOPPED),
    # Variables
    ('-E CALLER -E A=1 --setenv=B= -E A=2 -E TERM=other -l {path} {report}', unix('{path}'), SAME),
    ('-E NOT_SET -l {path} {report}', unix('{path}'), SAME),
    ('-a -E CALLER -E A=1 -l {path} {report}', unix('{path}'), STOPPED),
    ('-E =1 -l {path} {report}', NO_CLIENT, COMMAND_LINE),
    ('-E 1=2 -l {path} {report}', NO_CLIENT, COMMAND_LINE),
    # Ways to pass
    ('-a -l 127.0.0.1:{port} {report}', tcp('127.0.0.1'), STOPPED),
    ('--accept -l [::1]:{port} {report}', tcp('::1'), STOPPED),
    ('-a -l {port} {report}', tcp('127.0.0.1'), STOPPED),
    ('-a -l {path} -l 127.0.0.1:{port} {report}', unix('{path}'), STOPPED),
    ('-a --seqpacket -l {path} {report}', PACKETS, STOPPED),
    ('-a --inetd -l 127.0.0.1:{port} {report} streams', tcp('127.0.0.1'), STOPPED),
    ('--inetd -l 127.0.0.1:{port} {report} streams', tcp('127.0.0.1'), SAME),
    ('--inetd -l {path} -l @{path} {report} streams', unix('{path}'), TOO_MANY),
    ('--inetd -d -l 127.0.0.1:{port} {report} streams', datagram, SAME),
    # Commands
    ('-l {path} {report} -l --fdname -- x', unix('{path}'), SAME),
    ('-l {path} -- {report} -a', unix('{path}'), SAME),
    ('-l {path} {report} exit=3', unix('{path}'), SAME),
    ('-l {path} sh -c exit', unix('{path}'), SAME),
    ('-l {path} sh -c kill${{IFS}}-9${{IFS}}$$', unix('{path}'), KILLED),
    ('-l {path} /does/not/exist', unix('{path}'), MISSING),
    ('-l {path}', NO_CLIENT, COMMAND_LINE),
    ('{report}', NO_CLIENT, COMMAND_LINE),
    ('--no-such-option -l {path} {report}', NO_CLIENT, COMMAND_LINE),
]


def free_port():
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(('::', 0))
        return probe.getsockname()[1]


def observe(program, arguments, client, there):
    """Returns the lines that the service reports, and the exit status."""
    words = [word.format(**there) for word in arguments.split()]
    process = subprocess.Popen(program + words, env=VARIABLES, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    report = ''  # of a service that does not end before it was received
    connection = None
    deadline = time.monotonic() + PATIENCE
    while client and not connection and process.poll() is None and time.monotonic() < deadline:
        try:
            connection = client(there)
        except OSError:
            time.sleep(0.01)
    while connection and not report and process.poll() is None and REPORT in words:
        report = there['reports'].next(0.1) or ''
    report = report or there['reports'].next(0) or ''
    if '-a' in words[:1] or '--accept' in words[:1]:
        process.terminate()
    try:
        status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        status = 'does not end'
    if connection:
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            report = re.sub(r'\b%d\b' % connection.getsockname()[1], "the client's port", report)
        connection.close()
    return [line.rstrip() for line in report.splitlines()], status


def main():
    if not THEIRS:
        print('SKIPPED: there is no systemd-socket-activate (Debian: systemd)')
        return 77
    problems = 0
    unused = set(DIFFERENCES)
    with tempfile.TemporaryDirectory() as directory:
        there = {'path': directory + '/socket', 'reports': Reports(directory + '/reports'),
                 'report': REPORT + ' ' + directory + '/reports'}
        for arguments, client, difference in INVOCATIONS:
            there['port'] = free_port()
            words = arguments.replace('{report}', there['report'])
            expected, expected_status = observe([THEIRS], words, client, there)
            subprocess.run(['rm', '-rf', there['path']], check=True)
            # It stays when the service has ended, unless it is told otherwise.
            actual, actual_status = observe([SD_ACTIVATE, '--once'], words, client, there)
            for line in set(expected) ^ set(actual):
                for pattern in DIFFERENCES:
                    if re.search(pattern, line):
                        unused.discard(pattern)
                        (expected if line in expected else actual).remove(line)
            expected.append('exit status %s' % expected_status)
            if difference and expected_status in difference[0] and actual_status == difference[1]:
                actual_status = expected_status
            actual.append('exit status %s' % actual_status)
            if expected != actual:
                problems += 1
                print('\n'.join(difflib.unified_diff(expected, actual, 'systemd-socket-activate ' + arguments,
                                                     'sd-activate ' + arguments, lineterm='', n=1)))
    for pattern in sorted(unused):
        problems += 1
        print('does not differ any more: %s (%s)' % (pattern, DIFFERENCES[pattern]))
    print('%d invocations' % len(INVOCATIONS))
    return 1 if problems else 0


sys.exit(main())
