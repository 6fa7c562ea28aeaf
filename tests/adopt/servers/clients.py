# SPDX-License-Identifier: MIT OR Apache-2.0
"""Clients of servers: a request and its reply, on a connection or a socket of its own."""
import re
import socket
import struct

LIMIT = 10  # seconds for each system call
Steps = list[tuple[bytes, bytes]]  # requests, each with a pattern that its reply begins with


# --- requests and their replies ---

def http(text: bytes, status: int = 200, url: bytes = b'/') -> Steps:
    request = b'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' % url
    return [(request, b'HTTP/1[.][01] %d .*%s' % (status, text))]


def framed(steps: Steps) -> Steps:
    """Messages with a length in front, as DNS uses over TCP."""
    return [(struct.pack('!H', len(request)) + request, b'..' + reply) for request, reply in steps]


ECHO: Steps = [(b'hello', b'hello')]
REDIS: Steps = [(b'PING\r\n', b'[+]PONG\r\n')]
MEMCACHED: Steps = [(b'version\r\n', b'VERSION [0-9.]+\r\n')]
MEMCACHED_UDP: Steps = [(b'\0\7\0\0\0\1\0\0version\r\n', b'\0\7\0\0\0\1\0\0VERSION [0-9.]+\r\n')]
MAIL_OR_FILES: Steps = [(b'', b'220[ -].*\n'), (b'QUIT\r\n', b'221[ -].*\n')]
SSH: Steps = [(b'', b'SSH-2[.]0-.*\n')]
RSYNC: Steps = [(b'', b'@RSYNCD: [0-9.]+')]
SUBVERSION: Steps = [(b'', b'[(] success [(] 2 2 ')]
# A request for TLS, which is refused, and a session.
POSTGRESQL: Steps = [(struct.pack('!II', 8, 80877103), b'N'),
                     (struct.pack('!II', 23, 196608) + b'user\0postgres\0\0', b'R.*Z\0\0\0\5I')]
MQTT: Steps = [(b'\x10\x0c\0\4MQTT\4\2\0\x3c\0\0', b'\x20\2\0\0')]
# An anonymous bind.
LDAP: Steps = [(b'\x30\x0c\2\1\1\x60\7\2\1\3\4\0\x80\0', b'\x30.\2\1\1\x61.\x0a\1\0')]
# The address of name.test, which is 192.0.2.1.
DNS: Steps = [(b'\x12\x34\1\0\0\1\0\0\0\0\0\0\4name\4test\0\0\1\0\1', b'\x12\x34[\x80-\xff].*\xc0\0\2\1')]
# sysName.0 of the community public.
SNMP: Steps = [(b'\x30\x26\2\1\1\4\6public\xa0\x19\2\1\1\2\1\0\2\1\0\x30\x0e\x30\x0c\6\x08\x2b\6\1\2\1\1\5\0\5\0',
                b'\x30.\2\1\1\4\6public\xa2.*\6\x08[+]\6\1\2\1\1\5\0\4')]


# --- a client ---

class Lost(Exception):
    """The client has got no reply. The text is the reason."""


def open_socket(kind: str, address: tuple[str, int] | str) -> socket.socket:
    family = socket.AF_UNIX if kind == 'unix' else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM if kind == 'UDP' else socket.SOCK_STREAM)
    # The socket stays blocking, because a nonblocking unix socket does not wait for room in the connection queue.
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        client.setsockopt(socket.SOL_SOCKET, option, struct.pack('ll', LIMIT, 0))
    try:
        client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


def ask(kind: str, address: tuple[str, int] | str, steps: Steps, rejection: bytes) -> None:
    """Connects, makes the requests and checks the replies. Raises Lost if one does not come.

    Some servers accept clients when they cannot serve them yet, and reply what the pattern `rejection` describes."""
    try:
        with open_socket(kind, address) as client:
            for request, pattern in steps:
                if request:
                    client.sendall(request)
                reply = b''
                while not re.match(pattern, reply, re.DOTALL):
                    if rejection and re.match(rejection, reply, re.DOTALL):
                        raise Lost('rejected')
                    received = client.recv(65536)
                    if not received:
                        raise Lost('closed')
                    reply += received
    except (ConnectionRefusedError, FileNotFoundError) as error:
        raise Lost('refused') from error
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Lost('reset') from error
    except (BlockingIOError, TimeoutError) as error:
        raise Lost('no reply') from error
    except OSError as error:
        raise Lost(f'failed: {error}') from error
