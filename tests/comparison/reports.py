# SPDX-License-Identifier: MIT OR Apache-2.0
"""Receives what the program `report` reports."""

import os
import queue
import socket
import threading

PATIENCE = 10


class Reports:
    """The reports that arrive at a unix socket. A process that has reported runs until release() is called."""

    def __init__(self, path):
        self._path = path
        self._arrived = queue.Queue()
        self._held = []
        self._holds = False
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        os.chmod(path, 0o666)
        self._server.listen(64)
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            connection, _ = self._server.accept()
            text = b''.join(iter(lambda: connection.recv(65536), b'')).decode()
            holds = self._holds
            if holds:
                self._held.append(connection)
            # Before the process can end.
            self._arrived.put(text)
            if not holds:
                connection.close()

    def hold(self):
        self._holds = True

    def release(self):
        self._holds = False
        while self._held:
            self._held.pop().close()

    def next(self, patience=PATIENCE):
        """Returns the next report, or None if there is none in time."""
        try:
            return self._arrived.get(timeout=patience)
        except queue.Empty:
            return None

    def rest(self):
        """Returns the reports that have arrived, once all processes have ended."""
        with socket.socket(socket.AF_UNIX) as marker:
            marker.connect(self._path)
            marker.sendall(b'end')
        return list(iter(self._arrived.get, 'end'))
