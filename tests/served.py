"""A world's pages on a port of their own, for browsers and programs that need a real one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from pydantic import SecretStr

from newsletter.cli.place import listening
from newsletter.composition import Service
from newsletter.settings import Settings
from newsletter.web.app import create_app
from tests.world import LINK_KEY, World


@contextmanager
def served(world: World, data_dir: Path) -> Iterator[Service]:
    """Serve a world's pages by its own clock; where is in the service's settings."""
    with listening("127.0.0.1", 0) as bound:
        settings = Settings(
            _env_file=None,
            database_url=world.database.url.render_as_string(hide_password=False),
            data_dir=data_dir,
            public_url=f"http://127.0.0.1:{bound.getsockname()[1]}",
            address_pepper=SecretStr(world.hasher.peppers[0].decode()),
            link_key=SecretStr(LINK_KEY),
        )
        service = Service(settings, world.clock)
        server = uvicorn.Server(uvicorn.Config(create_app(service), lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        yield service
        server.should_exit = True
        thread.join()
    service.database.close()
