"""An HTTP proxy that stands in front of a storage server and does to some answers what a bad day does to them."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Fault:
    """What happens to requests that fit, so many times."""

    method: str
    path: str
    """A regular expression that is searched for in the path and the query."""
    status: int | None = None
    body: bytes = b""
    cut: int | None = None
    """Bytes of the answer's body that are sent before the connection ends."""
    delay_s: float = 0.0
    times: int = 1_000_000


@dataclass
class Proxy:
    """Where it listens, the faults it makes, and what was asked of it."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """`METHOD path`, in order."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request gets."""
        with self.lock:
            self.asked.append(f"{method} {path}")
            for fault in self.faults:
                if fault.times > 0 and fault.method in (method, "*") and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def count(self, what: str) -> int:
        """Requests that `what`, a regular expression, is found in."""
        with self.lock:
            return sum(bool(re.search(what, line)) for line in self.asked)


def xml_error(code: str, message: str = "injected") -> bytes:
    """An error as S3 words it."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>".encode()


@contextmanager
def proxy_to(upstream: str) -> Iterator[Proxy]:  # noqa: C901  # the branches are those of its handler
    """A proxy before the server at this URL."""
    target = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self._body()
            fault = state.take(self.command, self.path)
            if fault is not None and fault.delay_s:
                time.sleep(fault.delay_s)
            if fault is not None and fault.status is not None:
                self._answer(fault.status, {"Content-Type": "application/xml"}, fault.body, None)
                return
            link = http.client.HTTPConnection(str(target.hostname), target.port, timeout=60)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
                link.request(self.command, self.path, body=body, headers=headers)
                answer = link.getresponse()
                content = answer.read()
                kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self._answer(answer.status, kept, content, fault.cut if fault else None, length)
            except OSError:  # either side has gone
                self.close_connection = True
            finally:
                link.close()

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def _answer(
            self, status: int, headers: dict[str, str], content: bytes, cut: int | None, length: str | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content if cut is None else content[:cut])
            if cut is not None:
                self.wfile.flush()
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815  # names of the base class

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
