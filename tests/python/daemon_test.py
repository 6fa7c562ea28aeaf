# SPDX-License-Identifier: MIT OR Apache-2.0
"""daemon_test.py [LIBRARY [CXXFLAGS]]: tests Python's systemd.daemon (Debian's python3-systemd) on libsystemd, or on LIBRARY,
which is then preloaded. Each call is made in a process of its own, with the descriptors that a service manager would pass.
Exit status 77: skipped, for the reason that is printed."""

import array
import contextlib
import errno
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

LIBRARY = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
CXXFLAGS = sys.argv[2] if len(sys.argv) > 2 else ''
VARIABLES = ('LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PID', 'LISTEN_PIDFDID', 'NOTIFY_SOCKET', 'LD_PRELOAD')

# Executes the code of its argument, and prints the value of the last expression, or the errno.
CHILD = '''
import ast, fcntl, json, os, socket, sys
from pathlib import Path
from systemd import daemon
tree = ast.parse(sys.argv[1])
last = ast.Expression(tree.body.pop().value)
try:
    exec(compile(tree, 'code', 'exec'))
    print(json.dumps({'value': eval(compile(last, 'code', 'eval'))}))
except OSError as error:
    print(json.dumps({'errno': error.errno}))
'''


def start(arguments, fds, environment, output):
    """Runs Python with the descriptors from 3 on, and returns what it writes to the descriptors `output`."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            # Step aside first: a descriptor may occupy the number of another one.
            kept = [os.dup2(fd, 200 + i) for i, fd in enumerate([writer] + list(fds))]
            for fd in output:
                os.dup2(kept[0], fd)
            for i, fd in enumerate(kept[1:]):
                os.dup2(fd, 3 + i)
            os.closerange(3 + len(fds), 1024)
            variables = {name: value for name, value in os.environ.items() if name not in VARIABLES}
            if LIBRARY:
                variables['LD_PRELOAD'] = LIBRARY
            variables.update((name, value.replace('{pid}', str(os.getpid()))) for name, value in environment.items())
            os.execve(sys.executable, [sys.executable] + arguments, variables)
        finally:
            os._exit(127)
    os.close(writer)
    with open(reader, 'rb') as pipe:
        result = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise AssertionError('the process ended with %d: %r' % (status, result))
    return result.decode(), pid


class Fault:
    """An OSError with one of these errnos. There are several if versions of libsystemd, or the two libraries, differ."""

    def __init__(self, *numbers):
        self.numbers = set(numbers)

    def __eq__(self, other):
        return isinstance(other, Fault) and bool(self.numbers & other.numbers)

    def __repr__(self):
        return 'OSError(%s)' % ' or '.join(errno.errorcode.get(number, str(number)) for number in sorted(self.numbers))


def call(code, fds=(), environment=None):
    output, _ = start(['-c', CHILD, code], fds, environment or {}, [1])
    result = json.loads(output)
    return Fault(result['errno']) if 'errno' in result else result['value']


def may_name_others():
    """Returns whether the kernel permits this process to send messages as another one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        credentials = struct.pack('3i', os.getppid(), os.getuid(), os.getgid())
        try:
            ours.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)])
        except PermissionError:
            return False
    return True


def passed(names=None, count=None, pid='{pid}'):
    """Returns the variables that a service manager sets when it passes descriptors."""
    environment = {'LISTEN_PID': pid, 'LISTEN_FDS': str(count)}
    if names is not None:
        environment['LISTEN_FDNAMES'] = names
    return environment


class Case(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.directory = self.stack.enter_context(tempfile.TemporaryDirectory())

    def path(self, name):
        return os.path.join(self.directory, name)

    def open(self, path, flags=os.O_RDONLY):
        fd = os.open(path, flags)
        self.stack.callback(os.close, fd)
        return fd

    def fifo(self, name='fifo'):
        os.mkfifo(self.path(name))
        return self.open(self.path(name), os.O_RDWR)

    def null(self):
        return self.open('/dev/null')

    def socket(self, family, type, address=None, listening=False):
        made = self.stack.enter_context(socket.socket(family, type))
        if address is not None:
            made.bind(address)
        if listening:
            made.listen()
        return made

    def check(self, wanted, code, *fds, environment=None):
        fds = [fd if isinstance(fd, int) else fd.fileno() for fd in fds]
        with self.subTest(code):
            self.assertEqual(call(code, fds, environment), wanted)


class Library(Case):
    def test_library_is_called(self):
        """The module calls the library under test."""
        output, _ = start(['-c', 'import systemd.daemon'], [], {'LD_DEBUG': 'bindings', 'LD_BIND_NOW': '1'}, [1, 2])
        bound = re.findall(r'binding file \S*/_daemon\S* \[\d+\] to (\S+) \[\d+\]: normal symbol `(sd_\w+)\'', output)
        names = {name for _, name in bound}
        self.assertLessEqual({'sd_booted', 'sd_is_fifo', 'sd_is_mq', 'sd_is_socket', 'sd_is_socket_inet', 'sd_is_socket_unix',
                              'sd_listen_fds'}, names)
        self.assertTrue(names & {'sd_notify', 'sd_pid_notify', 'sd_pid_notify_with_fds'})
        wanted = os.path.realpath(LIBRARY) if LIBRARY else None
        for library, name in bound:
            with self.subTest(name):
                if wanted:
                    self.assertEqual(os.path.realpath(library), wanted)
                else:
                    self.assertEqual(os.path.basename(library), 'libsystemd.so.0')

    def test_all_functions_of_the_module_are_tested(self):
        tested = {'booted', 'is_fifo', 'is_mq', 'is_socket', 'is_socket_inet', 'is_socket_sockaddr', 'is_socket_unix',
                  'listen_fds', 'listen_fds_with_names', 'notify'}
        self.check(sorted(tested), '''
import types
functions = (types.FunctionType, types.BuiltinFunctionType)
sorted(name for name in dir(daemon) if name[0] != '_' and isinstance(getattr(daemon, name), functions))''')


class Booted(Case):
    def test_booted(self):
        self.check(os.path.isdir('/run/systemd/system') and not os.path.islink('/run/systemd/system'), 'daemon.booted()')

    def test_both_results(self):
        """With another /run, in a mount namespace."""
        mount = ['unshare', '--map-root-user', '--mount', 'sh', '-c', 'mount -t tmpfs none /run && eval "$0" && exec "$@"']
        if subprocess.run(mount + ['true', 'true'], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest('no namespaces')
        variables = dict(os.environ, LD_PRELOAD=LIBRARY) if LIBRARY else None
        code = 'from systemd import daemon; print(daemon.booted())'
        for run, expected in (('mkdir -p /run/systemd/system', 'True'), ('true', 'False'),
                            ('mkdir /run/systemd', 'False')):
            with self.subTest(run):
                result = subprocess.run(mount + [run, sys.executable, '-c', code], env=variables, stdout=subprocess.PIPE,
                                        check=True)
                self.assertEqual(result.stdout.decode().strip(), expected)


class ListenFds(Case):
    def test_none(self):
        self.check([], 'daemon.listen_fds()')
        self.check([], 'daemon.listen_fds(unset_environment=False)')
        self.check([], 'daemon.listen_fds()', self.null(), environment={'LISTEN_FDS': '1'})
        self.check([], 'daemon.listen_fds()', self.null(), environment={'LISTEN_PID': '{pid}'})
        self.check({}, 'daemon.listen_fds_with_names()')

    def test_start(self):
        self.check(3, 'daemon.LISTEN_FDS_START')

    def test_some(self):
        self.check([3], 'daemon.listen_fds()', self.null(), environment=passed(count=1))
        self.check([3, 4, 5], 'daemon.listen_fds()', *[self.null()] * 3, environment=passed(count=3))

    def test_fewer_than_are_open(self):
        self.check([3], 'daemon.listen_fds()', self.null(), self.null(), environment=passed(count=1))

    def test_another_process(self):
        self.check([], 'daemon.listen_fds()', self.null(), environment=passed(count=1, pid='1'))
        self.check([], 'daemon.listen_fds()', self.null(), environment=passed(count='x', pid='1'))

    def test_close_on_exec(self):
        self.check([1, 1, 0], 'daemon.listen_fds(); [fcntl.fcntl(fd, fcntl.F_GETFD) for fd in (3, 4, 5)]',
                   *[self.null()] * 3, environment=passed(count=2))

    def test_unset(self):
        self.check([[3], []], '[daemon.listen_fds(), daemon.listen_fds()]', self.null(), environment=passed(count=1))
        self.check([[3], []], '[daemon.listen_fds(True), daemon.listen_fds(True)]', self.null(),
                   environment=passed(count=1))
        self.check([[3], [3]], '[daemon.listen_fds(False), daemon.listen_fds(False)]', self.null(),
                   environment=passed(count=1))
        # Python has a copy of the environment, so look at the one that a child inherits.
        code = 'daemon.listen_fds(%s); os.popen("env | grep -c ^LISTEN_").read()'
        self.check('0\n', code % True, self.null(), environment=passed('a', count=1))
        self.check('3\n', code % False, self.null(), environment=passed('a', count=1))
        # Variables for another process are unset, too.
        self.check('0\n', code % True, self.null(), environment=passed('a', count=1, pid='1'))

    def test_malformed(self):
        for count in ('', 'x', '1x', '-1', '0', '99999999999999999999', '2147483647'):
            fault = {'99999999999999999999': Fault(errno.ERANGE), '2147483647': Fault(errno.EINVAL, errno.ERANGE)}.get(
                count, Fault(errno.EINVAL))
            self.check(fault, 'daemon.listen_fds()', self.null(), environment=passed(count=count))
            self.check(fault, 'daemon.listen_fds_with_names()', self.null(), environment=passed('a', count=count))
        for pid in ('', 'x', '1x', '-1', '99999999999999999999'):
            fault = {'99999999999999999999': Fault(errno.ERANGE), '-1': Fault(errno.EINVAL, errno.ERANGE)}.get(
                pid, Fault(errno.EINVAL))
            self.check(fault, 'daemon.listen_fds()', self.null(), environment=passed(count=1, pid=pid))

    def test_not_open(self):
        self.check(Fault(errno.EBADF), 'daemon.listen_fds()', self.null(), environment=passed(count=2))
        self.check(Fault(errno.EBADF), 'daemon.listen_fds_with_names()', self.null(), environment=passed('a:b', count=2))

    def test_names(self):
        code = '{str(fd): name for fd, name in daemon.listen_fds_with_names().items()}'
        self.check({'3': 'web', '4': 'admin'}, code, *[self.null()] * 2, environment=passed('web:admin', count=2))
        self.check({'3': 'a', '4': 'a'}, code, *[self.null()] * 2, environment=passed('a:a', count=2))
        self.check({'3': '', '4': 'b', '5': ''}, code, *[self.null()] * 3, environment=passed(':b:', count=3))
        self.check({'3': 'gr\u00fcn'}, code, self.null(), environment=passed('gr\u00fcn', count=1))
        self.check({'3': 'unknown', '4': 'unknown'}, code, *[self.null()] * 2, environment=passed(count=2))
        self.check([{'3': 'a'}, {}], '[{str(fd): name for fd, name in daemon.listen_fds_with_names().items()} '
                   'for _ in (1, 2)]', self.null(), environment=passed('a', count=1))
        self.check([{'3': 'a'}] * 2, '[{str(fd): name for fd, name in daemon.listen_fds_with_names(False).items()} '
                   'for _ in (1, 2)]', self.null(), environment=passed('a', count=1))

    def test_wrong_number_of_names(self):
        for names in ('a', 'a:b:c'):
            self.check(Fault(errno.EINVAL), 'daemon.listen_fds_with_names()', *[self.null()] * 2,
                       environment=passed(names, count=2))


class IsFifo(Case):
    def test_fifo(self):
        fifo, path = self.fifo(), self.path('fifo')
        self.check(True, 'daemon.is_fifo(3)', fifo)
        self.check(True, 'daemon.is_fifo(open(3, "rb", buffering=0))', fifo)
        self.check(True, 'daemon.is_fifo(3, None)', fifo)
        self.check(True, 'daemon.is_fifo(3, %r)' % path, fifo)
        self.check(True, 'daemon.is_fifo(3, path=%r)' % path, fifo)
        os.symlink(path, self.path('link'))
        self.check(True, 'daemon.is_fifo(3, %r)' % self.path('link'), fifo)
        self.fifo('other')
        self.check(False, 'daemon.is_fifo(3, %r)' % self.path('other'), fifo)
        self.check(False, 'daemon.is_fifo(3, "/dev/null")', fifo)
        self.check(False, 'daemon.is_fifo(3, %r)' % self.path('missing'), fifo)

    def test_other(self):
        self.check(False, 'daemon.is_fifo(3)', self.null())
        self.check(False, 'daemon.is_fifo(3, "/dev/null")', self.null())
        self.check(Fault(errno.EBADF), 'daemon.is_fifo(9)')

    def test_pipe(self):
        reader, writer = os.pipe()
        self.stack.callback(os.close, reader)
        self.stack.callback(os.close, writer)
        self.check(True, 'daemon.is_fifo(3)', reader)


class IsSocket(Case):
    def test_any(self):
        unix = self.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.check(True, 'daemon.is_socket(3)', unix)
        self.check(True, 'daemon.is_socket(socket.socket(fileno=3))', unix)
        self.check(False, 'daemon.is_socket(3)', self.null())
        self.check(False, 'daemon.is_socket(3)', self.fifo())
        self.check(Fault(errno.EBADF), 'daemon.is_socket(9)')

    def test_family_and_type(self):
        udp = self.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for code, expected in (('family=socket.AF_INET', True), ('family=socket.AF_UNSPEC', True),
                             ('family=socket.AF_INET6', False), ('family=socket.AF_UNIX', False),
                             ('type=socket.SOCK_DGRAM', True), ('type=0', True), ('type=socket.SOCK_STREAM', False),
                             ('socket.AF_INET, socket.SOCK_DGRAM', True), ('socket.AF_INET, socket.SOCK_STREAM', False),
                             ('socket.AF_INET, socket.SOCK_DGRAM, 0', True),
                             ('socket.AF_INET, socket.SOCK_DGRAM, 1', False)):
            self.check(expected, 'daemon.is_socket(3, %s)' % code, udp)

    def test_listening(self):
        listener = self.socket(socket.AF_UNIX, socket.SOCK_STREAM, self.path('s'), listening=True)
        bound = self.socket(socket.AF_UNIX, socket.SOCK_STREAM, self.path('t'))
        for listening, results in ((-1, (True, True)), (0, (False, True)), (1, (True, False))):
            self.check(results[0], 'daemon.is_socket(3, listening=%d)' % listening, listener)
            self.check(results[1], 'daemon.is_socket(3, listening=%d)' % listening, bound)

    def test_wrong_arguments(self):
        unix = self.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.check(Fault(errno.EINVAL), 'daemon.is_socket(3, family=-1)', unix)
        self.check(Fault(errno.EINVAL), 'daemon.is_socket(3, type=-1)', unix)


class IsSocketInet(Case):
    def listener(self, family, address):
        try:
            return self.socket(family, socket.SOCK_STREAM, (address, 0), listening=True)
        except OSError as error:
            self.skipTest('no sockets at %s: %s' % (address, error))

    def test_inet(self):
        listener = self.listener(socket.AF_INET, '127.0.0.1')
        port = listener.getsockname()[1]
        for code, expected in (('', True), ('family=socket.AF_INET', True), ('family=socket.AF_INET6', False),
                             ('type=socket.SOCK_STREAM', True), ('type=socket.SOCK_DGRAM', False), ('listening=1', True),
                             ('listening=0', False), ('port=%d' % port, True), ('port=%d' % (port ^ 1), False),
                             ('port=0', True), ('socket.AF_INET, socket.SOCK_STREAM, 1, %d' % port, True)):
            self.check(expected, 'daemon.is_socket_inet(3, %s)' % code, listener)
        self.check(True, 'daemon.is_socket_inet(socket.socket(fileno=3))', listener)

    def test_inet6(self):
        listener = self.listener(socket.AF_INET6, '::1')
        port = listener.getsockname()[1]
        self.check(True, 'daemon.is_socket_inet(3)', listener)
        self.check(True, 'daemon.is_socket_inet(3, socket.AF_INET6, port=%d)' % port, listener)
        self.check(False, 'daemon.is_socket_inet(3, socket.AF_INET)', listener)
        self.check(False, 'daemon.is_socket_inet(3, port=%d)' % (port ^ 1), listener)

    def test_other(self):
        self.check(False, 'daemon.is_socket_inet(3)', self.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        self.check(False, 'daemon.is_socket_inet(3)', self.null())
        self.check(Fault(errno.EBADF), 'daemon.is_socket_inet(9)')
        listener = self.listener(socket.AF_INET, '127.0.0.1')
        self.check(Fault(errno.EINVAL), 'daemon.is_socket_inet(3, family=socket.AF_UNIX)', listener)

    def test_sockaddr(self):
        listener = self.listener(socket.AF_INET, '127.0.0.1')
        port = listener.getsockname()[1]
        for code, expected in (('"127.0.0.1"', True), ('"127.0.0.1:%d"' % port, True), ('"127.0.0.1:%d"' % (port ^ 1), False),
                             ('"127.0.0.2"', False), ('"127.0.0.2:%d"' % port, False), ('"0.0.0.0"', False),
                             ('"[::1]"', False), ('"127.0.0.1", socket.SOCK_STREAM', True),
                             ('"127.0.0.1", socket.SOCK_DGRAM', False), ('"127.0.0.1", listening=1', True),
                             ('"127.0.0.1", listening=0', False)):
            self.check(expected, 'daemon.is_socket_sockaddr(3, %s)' % code, listener)
        self.check(True, 'daemon.is_socket_sockaddr(socket.socket(fileno=3), "127.0.0.1")', listener)
        self.check(Fault(errno.EBADF), 'daemon.is_socket_sockaddr(9, "127.0.0.1")')
        self.check(False, 'daemon.is_socket_sockaddr(3, "127.0.0.1")', self.null())
        self.check(False, 'daemon.is_socket_sockaddr(3, "127.0.0.1")', self.socket(socket.AF_UNIX, socket.SOCK_STREAM))

    def test_sockaddr6(self):
        listener = self.listener(socket.AF_INET6, '::1')
        port = listener.getsockname()[1]
        for code, expected in (('"[::1]"', True), ('"[::1]:%d"' % port, True), ('"[::1]:%d"' % (port ^ 1), False),
                             ('"[::2]"', False), ('"127.0.0.1"', False), ('"[::1]", flowinfo=0', True),
                             ('"[::1]", flowinfo=7', False), ('"[::1]", socket.SOCK_STREAM, 0, 1', True)):
            self.check(expected, 'daemon.is_socket_sockaddr(3, %s)' % code, listener)


class IsSocketUnix(Case):
    def test_path(self):
        path = self.path('s')
        listener = self.socket(socket.AF_UNIX, socket.SOCK_STREAM, path, listening=True)
        for code, expected in (('', True), ('socket.SOCK_STREAM', True), ('socket.SOCK_DGRAM', False), ('listening=1', True),
                             ('listening=0', False), ('path=%r' % path, True), ('path=%r' % (path + 'x'), False),
                             ('path=%r' % path[:-1], False), ('path="/"', False),
                             ('socket.SOCK_STREAM, 1, %r' % path, True)):
            self.check(expected, 'daemon.is_socket_unix(3, %s)' % code, listener)
        self.check(True, 'daemon.is_socket_unix(socket.socket(fileno=3))', listener)

    def test_unnamed(self):
        unix = self.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.check(True, 'daemon.is_socket_unix(3)', unix)
        self.check(False, 'daemon.is_socket_unix(3, path="/run/s")', unix)

    def test_other(self):
        self.check(False, 'daemon.is_socket_unix(3)', self.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.check(False, 'daemon.is_socket_unix(3)', self.null())
        self.check(Fault(errno.EBADF), 'daemon.is_socket_unix(9)')
        self.check(Fault(errno.EINVAL), 'daemon.is_socket_unix(3, type=-1)', self.socket(socket.AF_UNIX, socket.SOCK_STREAM))


class IsMq(Case):
    def test_queue(self):
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        name = b'/sd-python-test.%d' % os.getpid()
        fd = libc.mq_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, None)
        if fd < 0:
            self.skipTest('no message queues: ' + os.strerror(ctypes.get_errno()))
        self.stack.callback(libc.mq_unlink, name)
        self.stack.callback(os.close, fd)
        self.check(True, 'daemon.is_mq(3)', fd)
        self.check(False, 'daemon.is_fifo(3)', fd)

    def test_other(self):
        self.check(False, 'daemon.is_mq(3)', self.null())
        self.check(False, 'daemon.is_mq(3)', self.fifo())
        self.check(False, 'daemon.is_mq(3)', self.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        self.check(Fault(errno.EBADF), 'daemon.is_mq(9)')


class Notify(Case):
    def setUp(self):
        super().setUp()
        self.manager = self.receiver(self.path('notify'))
        self.environment = {'NOTIFY_SOCKET': self.path('notify')}

    def receiver(self, address):
        made = self.socket(socket.AF_UNIX, socket.SOCK_DGRAM, address)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        made.settimeout(10)
        return made

    def receive(self, manager=None):
        """Returns the message, the pid of its sender, and the inodes of the attached descriptors."""
        text, parts, _, _ = (manager or self.manager).recvmsg(1 << 16, 4096)
        pid, inodes = None, []
        for level, kind, data in parts:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid = struct.unpack('3i', data)[0]
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array('i')
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
                for fd in fds:
                    inodes.append(os.fstat(fd).st_ino)
                    os.close(fd)
        return text.decode(), pid, inodes

    def expect_nothing(self):
        self.manager.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.manager.recv(1)
        self.manager.settimeout(10)

    def test_no_listener(self):
        self.check(False, 'daemon.notify("READY=1")')
        self.check(False, 'daemon.notify("READY=1", unset_environment=True)')
        self.check(False, 'daemon.notify("READY=1", pid=1)')
        self.check(False, 'daemon.notify("READY=1", fds=[0])')

    def test_text(self):
        for text in ('READY=1', 'STATUS=a\nREADY=1\n', 'STATUS=gr\u00fcn', 'STATUS=' + 10000 * 'x'):
            self.check(True, 'daemon.notify(%r)' % text, environment=self.environment)
            self.assertEqual(self.receive()[0], text)

    def test_own_pid(self):
        code = 'daemon.notify("READY=1"%s); os.getpid()'
        for arguments in ('', ', pid=0', ', pid=os.getpid()', ', False, os.getpid()'):
            pid = call(code % arguments, environment=self.environment)
            self.assertEqual(self.receive(), ('READY=1', pid, []), arguments)

    def test_other_pid(self):
        code = '[daemon.notify("READY=1", pid=%d), os.getpid()]' % os.getpid()
        sent, pid = call(code, environment=self.environment)
        self.assertIs(sent, True)
        # Sent as the other process, if that is permitted.
        text, sender, _ = self.receive()
        self.assertEqual(text, 'READY=1')
        self.assertEqual(sender, os.getpid() if may_name_others() else pid)

    def test_descriptors(self):
        fds = [self.fifo(), self.null()]
        inodes = [os.fstat(fd).st_ino for fd in fds]
        for arguments in ('fds=[3, 4]', 'fds=(3, 4)', 'False, 0, [3, 4]', 'pid=os.getpid(), fds=[3, 4]'):
            self.check(True, 'daemon.notify("FDSTORE=1", %s)' % arguments, *fds, environment=self.environment)
            text, _, received = self.receive()
            self.assertEqual((text, received), ('FDSTORE=1', inodes), arguments)
        # The caller keeps its descriptors.
        self.check([0, 0], 'daemon.notify("FDSTORE=1", fds=[3, 4]); [fcntl.fcntl(fd, fcntl.F_GETFD) for fd in (3, 4)]',
                   *fds, environment=self.environment)
        self.receive()
        self.check(True, 'daemon.notify("FDSTORE=1", fds=[])', environment=self.environment)
        self.assertEqual(self.receive()[2], [])

    def test_descriptors_as_another_process(self):
        null = self.null()
        pid = os.getpid()
        sent, own = call('[daemon.notify("FDSTORE=1", pid=%d, fds=[3]), os.getpid()]' % pid, [null], self.environment)
        self.assertIs(sent, True)
        self.assertEqual(self.receive(), ('FDSTORE=1', pid if may_name_others() else own, [os.fstat(null).st_ino]))

    def test_wrong_descriptors(self):
        self.check(Fault(errno.EBADF), 'daemon.notify("FDSTORE=1", fds=[9])', environment=self.environment)
        self.expect_nothing()

    def test_unset(self):
        self.check([True, False], '[daemon.notify("A=1", True), daemon.notify("B=1")]', environment=self.environment)
        self.assertEqual(self.receive()[0], 'A=1')
        self.expect_nothing()
        self.check([True, True], '[daemon.notify("A=1", unset_environment=False), daemon.notify("B=1")]',
                   environment=self.environment)
        self.assertEqual([self.receive()[0] for _ in (1, 2)], ['A=1', 'B=1'])
        for arguments in ('pid=os.getpid()', 'fds=[3]', 'pid=os.getpid(), fds=[3]'):
            self.check([True, False], '[daemon.notify("A=1", unset_environment=True, %s), daemon.notify("B=1")]' % arguments,
                       self.null(), environment=self.environment)
            self.receive()

    def test_abstract(self):
        name = 'sd-python-test.%d' % os.getpid()
        manager = self.receiver('\0' + name)
        self.check(True, 'daemon.notify("READY=1")', environment={'NOTIFY_SOCKET': '@' + name})
        self.assertEqual(self.receive(manager)[0], 'READY=1')

    def test_wrong_socket(self):
        for address, fault in (('relative', Fault(errno.EINVAL, errno.EPROTO, errno.EAFNOSUPPORT)),
                               ('', Fault(errno.EINVAL, errno.EPROTO, errno.EAFNOSUPPORT)), ('/', Fault(errno.EINVAL)),
                               ('@', Fault(errno.EINVAL)), ('/' + 200 * 'x', Fault(errno.ENAMETOOLONG, errno.E2BIG)),
                               (self.path('missing'), Fault(errno.ENOENT))):
            self.check(fault, 'daemon.notify("READY=1")', environment={'NOTIFY_SOCKET': address})


def skip(why):
    print('SKIPPED:', why)
    sys.exit(77)


def platform_of(path):
    """Returns the class, byte order and machine of an ELF file."""
    with open(path, 'rb') as file:
        head = file.read(20)
    return head[4:6] + head[18:20]


def main():
    # Descriptors that this process inherited would be passed on.
    os.closerange(3, 1024)
    for name in VARIABLES:
        os.environ.pop(name, None)
    try:
        import systemd.daemon  # noqa: F401
    except ImportError:
        skip('%s has no module systemd.daemon (on Debian: python3-systemd)' % sys.executable)
    if '-fsanitize' in CXXFLAGS:
        skip('the library is built with a sanitizer, and Python is not')
    if LIBRARY:
        if platform_of(LIBRARY) != platform_of(sys.executable):
            skip('the library is built for another platform than Python')
    signal.alarm(300)
    unittest.main(argv=sys.argv[:1], verbosity=1)


if __name__ == '__main__':
    main()
