"""Serving the emulator: on a port of loopback, in the foreground or in a thread."""

import socket
import threading
from asyncio import Transport
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from newsletter.emulator.app import EmulatorSettings, create_app
from newsletter.emulator.errors import EmulatorError


HOST = "127.0.0.1"
READY_SECONDS = 30.0


def serve(settings: EmulatorSettings, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until told to stop; ``on_ready`` is called with the address once the port is ours.

    Raises:
        EmulatorError: The port is taken, or the record cannot be opened.
    """
    app = create_app(settings)
    with _listening(port) as listening:
        on_ready(_url(listening))
        app.state.poster.start()
        _server(app).run(sockets=[listening])
        app.state.poster.stop()
    app.state.record.close()


@contextmanager
def running(settings: EmulatorSettings, port: int = 0) -> Iterator[str]:
    """Serve in a thread of this process while the block lasts, and give the address.

    Raises:
        EmulatorError: The port is taken, or the record cannot be opened.
    """
    app = create_app(settings)
    with _listening(port) as listening:
        server = _server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="emulator", daemon=True)
        thread.start()
        app.state.poster.start()
        try:
            yield _url(listening)
        finally:
            app.state.poster.stop()
            server.should_exit = True
            # A hang on purpose must not keep the process.
            server.force_exit = True
            thread.join(READY_SECONDS)
    app.state.record.close()


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise EmulatorError(
            f"cannot listen on {HOST} port {port} ({error.strerror}): choose another with --port"
        ) from None
    with listening:
        yield listening


def _url(listening: socket.socket) -> str:
    return f"http://{HOST}:{listening.getsockname()[1]}"


def _server(app: FastAPI) -> uvicorn.Server:
    class Connection(H11Protocol):
        """A connection that can be found by its peer, so that a fault can cut it."""

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # uvicorn's own narrowing
            super().connection_made(transport)
            app.state.connections[tuple(transport.get_extra_info("peername"))] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            with suppress(KeyError):
                del app.state.connections[tuple(self.transport.get_extra_info("peername"))]
            super().connection_lost(exc)

    config = uvicorn.Config(
        app,
        http=Connection,
        log_level="error",
        lifespan="off",
        access_log=False,
        # SendGrid's front is nginx, and its answers say so.
        server_header=False,
        headers=[("Server", "nginx")],
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
