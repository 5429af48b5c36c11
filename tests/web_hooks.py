"""A web server on this machine that takes calls and answers as it is told to, for tests of whoever posts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class TakenCall:
    """One call as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebHook:
    """What came, and what is answered next; without more to answer, 200 as every robot says it."""

    url: str = ""
    calls: list[TakenCall] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    took: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, calls: int) -> None:
        """Wait until so many calls have come."""
        with self.took:
            assert self.took.wait_for(lambda: len(self.calls) >= calls, timeout=30), self.calls


@contextmanager
def web_hook() -> Iterator[WebHook]:
    """Listen on a free port until the block ends."""
    hook = WebHook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with hook.took:
                hook.calls.append(TakenCall(self.path, headers, body))
                hook.took.notify_all()
            status, said = hook.answers.pop(0) if hook.answers else (200, b'{"code":0,"errcode":0}')
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(said)))
            for name, value in hook.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
