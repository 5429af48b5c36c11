"""A site with readers for the tests of readers' pages: a world on a store, the service over it, and a browser."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlmodel import col, select

from newsletter.composition import Service
from newsletter.outbox import Notice
from newsletter.providers.memory import MemoryProvider
from newsletter.settings import Settings
from newsletter.signing import Purpose
from newsletter.web.app import create_app
from subscribers.models import SubscriptionState
from subscribers.roster import SubscriptionView, find_by_address, find_subscription
from tests.tables import everything
from tests.web.sendgrid_calls import NEW, OLD, shown
from tests.world import LINK_KEY, HandClock, World, addresses, make_world


@dataclass
class Site:
    """The pages of a world, with short words for what tests do again and again."""

    world: World
    browser: TestClient
    service: Service
    clock: HandClock

    def reader(self, address: str = addresses(1)[0]) -> SubscriptionView:
        """Find a reader."""
        with self.world.database.reading() as session:
            return find_by_address(session, self.world.publication.id, address)

    def reader_state(self, subscription_id: int) -> SubscriptionState:
        """Tell where a subscription stands."""
        with self.world.database.reading() as session:
            return find_subscription(session, subscription_id).state

    def notices(self) -> list[Notice]:
        """Give what waits in the outbox, the oldest first."""
        with self.world.database.reading() as session:
            return list(session.exec(select(Notice).order_by(col(Notice.id))))

    def confirm_link(self) -> str:
        """Give the link of the last confirm mail, as its letter will write it."""
        last = self.notices()[-1]
        purpose = Purpose.confirm if last.kind == "confirm" else Purpose.change_address
        return f"/confirm/{self.service.signer.sign(purpose, last.opt_in_id or 0, at=last.created_at)}"

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Give every row of every table."""
        return everything(self.world.database)


@pytest.fixture
def site(store, tmp_path):
    world = make_world(store, MemoryProvider())
    world.readers(addresses(2))
    url = world.database.url.render_as_string(hide_password=False)
    pepper = SecretStr(world.hasher.peppers[0].decode())
    settings = Settings(_env_file=None, database_url=url, data_dir=tmp_path, address_pepper=pepper)
    service = Service(settings, world.clock)
    with TestClient(create_app(service), follow_redirects=False, raise_server_exceptions=False) as browser:
        yield Site(world, browser, service, world.clock)
    service.database.close()


@pytest.fixture
def hook(site) -> Iterator[TestClient]:
    """The site, which believes calls that are signed with the old key or the new one."""
    said = site.service.settings.model_copy(update={"sendgrid_webhook_key": (shown(OLD), shown(NEW))})
    service = Service(said, site.world.clock)
    with TestClient(create_app(service), raise_server_exceptions=False) as browser:
        yield browser
    service.database.close()


Opener = Callable[..., TestClient]


@pytest.fixture
def open_pages(tmp_path) -> Iterator[Opener]:
    """Open a world's pages as readers reach them: at their public address, with the world's own clock and link key."""
    with ExitStack() as parts:

        def opened(world: World, **settings: object) -> TestClient:
            url, site = world.database.url.render_as_string(hide_password=False), "https://n.example.com"
            said = {"data_dir": tmp_path, "public_url": site, "link_key": LINK_KEY, **settings}
            service = Service(Settings(_env_file=None, database_url=url, **said), clock=world.clock)
            parts.callback(service.database.close)
            client = TestClient(
                create_app(service), base_url=site, follow_redirects=False, raise_server_exceptions=False
            )
            return parts.enter_context(client)

        yield opened
