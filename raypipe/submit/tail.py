"""The log of a job as a stream of whole lines, each exactly once, over connections that may break."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from raypipe.errors import ClusterError
from raypipe.submit.client import JobsClient

if TYPE_CHECKING:
    import websocket

FIRST_WAIT_S, MAX_WAIT_S = 0.5, 10.0
END_S = 5.0


class LogTail:
    """Reads a log in a thread of its own.

    The cluster sends a log from its beginning to whoever connects. After a connection broke, as many whole lines as
    were delivered before are passed over; a line that had come in part is taken from the new one.
    """

    def __init__(self, client: JobsClient, submission_id: str) -> None:
        self._client, self._id = client, submission_id
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._received = 0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name=f"log of {submission_id}", daemon=True)
        self._is_started = False
        self._socket: websocket.WebSocket | None = None
        self.reconnects = 0

    def start(self) -> None:
        """Begin to read; a second call does nothing."""
        if not self._is_started:
            self._is_started = True
            self._thread.start()

    def lines(self, wait_s: float) -> Iterator[str]:
        """The lines that come within about `wait_s`."""
        until = time.monotonic() + wait_s
        while True:
            left = until - time.monotonic()
            try:
                yield self._lines.get(timeout=max(0.0, left)) if left > 0 else self._lines.get_nowait()
            except queue.Empty:
                return

    def rest(self) -> list[str]:
        """All that is left of the log of a job that is over, an unfinished last line included.

        Raises
        ------
        ClusterError
            If the log cannot be had any more: it was on a node that is gone.
        """
        self.close()
        lines = self._client.logs(self._id).split("\n")
        last = [lines[-1]] if lines[-1] else []
        return [*self.lines(0.0), *lines[self._received : -1], *last]

    def close(self) -> None:
        """Read no more; what has come is still to be had."""
        with self._lock:  # from here on the thread delivers no more
            self._over.set()
            if self._socket is not None and self._socket.sock is not None:
                with contextlib.suppress(OSError):  # it may have ended by itself
                    self._socket.sock.shutdown(socket.SHUT_RDWR)
        if self._is_started:
            self._thread.join(END_S)

    def _read(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._over.is_set():
            before = self._received
            try:
                self._follow()
            except (ClusterError, OSError, _broken()):
                pass  # the state of the job tells whether it is over; a connection may break at any time
            wait_s = FIRST_WAIT_S if self._received > before else min(2 * wait_s, MAX_WAIT_S)
            if not self._over.wait(wait_s):
                self.reconnects += 1

    def _follow(self) -> None:
        with contextlib.closing(self._client.log_socket(self._id)) as opened:
            with self._lock:
                self._socket = opened
            skip, held = self._received, ""
            while not self._over.is_set() and (piece := opened.recv()):
                text = piece if isinstance(piece, str) else piece.decode("utf-8", errors="replace")
                *whole, held = (held + text).split("\n")
                for line in whole:
                    if skip:
                        skip -= 1
                    else:
                        self._deliver(line)

    def _deliver(self, line: str) -> None:
        with self._lock:
            if not self._over.is_set():
                self._lines.put(line)
                self._received += 1


def _broken() -> type[Exception]:
    """What the websocket library raises for anything that goes wrong with a connection."""
    import websocket

    kind: type[Exception] = websocket.WebSocketException
    return kind
