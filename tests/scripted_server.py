"""A real HTTP server on loopback that answers as a test says: for what the local SendGrid does not say."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What is answered: JSON, or bytes as they stand."""

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        if isinstance(self.value, bytes):
            return self.value
        return b"" if self.value is None else json.dumps(self.value).encode()


@dataclass
class ScriptedServer:
    """Answers by method and path; keeps what it was asked."""

    url: str
    replies: dict[tuple[str, str], Reply] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    otherwise: Reply = field(default_factory=lambda: Reply({"errors": [{"message": "not found"}]}, 404))

    def on(self, path: str, value: Any = None, status: int = 200, *, method: str = "GET", **headers: str) -> None:
        """Say what a path is answered with; underscores in names of headers stand for hyphens."""
        named = {name.replace("_", "-"): said for name, said in headers.items()}
        self.replies[method, path] = Reply(value, status, named)


@contextmanager
def scripted_server(context: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """Serve in a thread on a free port while the block lasts; over TLS where a context is given."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked.append((self.command, self.path, dict(self.headers), body))
            reply = server.replies.get((self.command, self.path.split("?")[0]), server.otherwise)
            self.send_response_only(reply.status)
            length = {"Content-Length": str(len(reply.body))}
            for name, value in {"Date": self.date_time_string(), **length, **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        http.socket = context.wrap_socket(http.socket, server_side=True)
    scheme, host = ("https", "localhost") if context else ("http", "127.0.0.1")
    server = ScriptedServer(f"{scheme}://{host}:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
