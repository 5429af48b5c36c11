"""A scanner follows every link of a delivered mail, also with a real browser that runs scripts: no row changes."""

import re
import threading
import urllib.request
from dataclasses import replace

import pytest
import uvicorn
from sqlmodel import SQLModel, col, select

from newsletter.cli.serving import listening
from newsletter.composition import Service
from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.requests import Letterhead
from newsletter.providers.memory import MemoryProvider
from newsletter.rendering.mail import links_in
from newsletter.settings import Settings
from newsletter.web.app import create_app
from subscribers.models import Subscription, SubscriptionState
from tests.local_sendgrid import local_sendgrid
from tests.world import LINK_KEY, SIGNER, World, addresses, make_world


pytestmark = pytest.mark.browser


@pytest.fixture
def world(sqlite_store) -> World:
    world = make_world(sqlite_store, MemoryProvider())
    world.readers(addresses(3))
    return world


@pytest.fixture
def site(world, tmp_path):
    """The service's pages on a port of their own."""
    url = world.database.url.render_as_string(hide_password=False)
    service = Service(Settings(_env_file=None, database_url=url, data_dir=tmp_path, link_key=LINK_KEY))
    with listening("127.0.0.1", 0) as bound:
        config = uvicorn.Config(create_app(service), lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        thread.join()
    service.database.close()


@pytest.fixture
def delivered(world, site, tmp_path):
    """A mail as the local SendGrid delivered it, with links to the running pages."""
    with local_sendgrid(tmp_path / "emulator") as emulator:
        world = world.having(provider=emulator.provider())
        world.running()
        desk = replace(world.desk, letterhead=Letterhead(site, SIGNER))
        while dispatch_next(desk):
            pass
        yield emulator.deliveries()[0]


def everything(world):
    """Every row of every table."""
    with world.database.reading() as session:
        return {
            table.name: session.execute(table.select().order_by(*table.primary_key.columns)).all()
            for table in SQLModel.metadata.sorted_tables
        }


def links_of(mail, site):
    found = {*links_in(mail["html"]), *re.findall(r"https?://[^\s>]+", mail["text"] + str(mail["headers"]))}
    return [link for link in found if link.startswith(site)]


def way_out(mail, site):
    (link,) = [link for link in links_of(mail, site) if link.startswith(f"{site}/u/")]
    return link


def fetch(link, method, data=None):
    request = urllib.request.Request(link, data=data, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        return answer.status


def test_following_every_link_changes_no_row_and_one_post_does(world, site, delivered, chromium):
    before = everything(world)
    links = links_of(delivered, site)
    assert {link.removeprefix(site).split("/")[1] for link in links} == {"u", "read", "preferences"}
    for link in links:
        for method in ("GET", "HEAD"):
            assert fetch(link, method) == 200
        page = chromium.new_page()
        page.goto(link)
        page.wait_for_timeout(3000)
        page.close()
    assert everything(world) == before
    assert fetch(way_out(delivered, site), "POST", b"List-Unsubscribe=One-Click") == 200
    assert everything(world) != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_a_person_leaves_by_keyboard_without_javascript(world, site, delivered, chromium, width, scheme):
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, java_script_enabled=False, color_scheme=scheme, locale="en-GB"
    )
    page = context.new_page()
    page.goto(way_out(delivered, site))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="You have left").wait_for()
    assert page.get_by_role("button").count() == 0
    context.close()
    with world.database.reading() as session:
        states = session.exec(select(Subscription.state).order_by(col(Subscription.id))).all()
    assert [SubscriptionState(state) for state in states].count(SubscriptionState.left) == 1
