"""`newsletter issue preview`: a page on this machine that shows an issue as its author writes it."""

from pathlib import Path

import uvicorn

from newsletter.cli.console import say
from newsletter.cli.place import listening, stopped_in_order
from newsletter.web.preview import Look, create_preview


LOOPBACK = "127.0.0.1"


def serve_preview(look: Look, templates: Path, port: int) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        Misconfigured: The port is taken.
    """
    with stopped_in_order(), listening(LOOPBACK, port) as socket:
        follows = "; it follows the file as you save it" if look.watch else ""
        say(f"Preview of {look.file.name}: http://{LOOPBACK}:{socket.getsockname()[1]}{follows}. Ctrl-C ends it.")
        config = uvicorn.Config(
            create_preview(look, templates), lifespan="off", log_level="warning", access_log=False, server_header=False
        )
        uvicorn.Server(config).run(sockets=[socket])
