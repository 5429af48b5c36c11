"""`/read/…` shows what a reader was sent, `/preferences/…` what a reader has; neither changes anything."""

import pytest
from fastapi.testclient import TestClient
from sqlmodel import SQLModel

from newsletter.composition import Service
from newsletter.providers.memory import MemoryProvider
from newsletter.rendering.personalisation import fill
from newsletter.settings import Settings
from newsletter.web.app import create_app
from subscribers.actors import COMMAND_LINE
from subscribers.leaving import LeavingChannel, leave
from subscribers.roster import find_by_address
from subscribers.subscriptions import change_plan
from tests.world import World, addresses, make_world


PAID = "# 标题\n\n公开的一段。\n\n::: plan pro\n只有专业版读者能读到的一段。\n:::"


@pytest.fixture
def world(store) -> World:
    world = make_world(store, MemoryProvider())
    world.readers(addresses(1))
    world.readers(addresses(1, start=1), plan="pro")
    world.schedule(world.issue(PAID))
    world.begin()
    world.dispatch()
    return world


@pytest.fixture
def browser(world, tmp_path):
    url = world.database.url.render_as_string(hide_password=False)
    settings = Settings(_env_file=None, database_url=url, data_dir=tmp_path, public_url="https://n.example.com")
    service = Service(settings)
    with TestClient(create_app(service), follow_redirects=False, raise_server_exceptions=False) as client:
        yield client
    service.database.close()


def unsubscribe_id(world, number=0):
    with world.database.reading() as session:
        return find_by_address(session, world.publication.id, addresses(1, start=number)[0]).unsubscribe_id


def sent(world, number):
    """The mail as it was handed to the provider."""
    recipients = [(message, one) for message in world.provider.accepted for one in message.recipients]
    message, reader = next(pair for pair in recipients if pair[1].address == addresses(1, start=number)[0])
    return fill(message.html, reader.substitutions)


@pytest.mark.parametrize("number", [0, 1])
def test_a_reader_reads_again_what_was_sent_byte_by_byte(browser, world, number):
    answer = browser.get(f"/read/{unsubscribe_id(world, number)}/1")
    assert answer.status_code == 200
    assert answer.text == sent(world, number)
    assert ("只有专业版读者" in answer.text) is (number == 1)


def test_the_link_in_the_mail_leads_there(browser, world):
    address = f"/read/{unsubscribe_id(world)}/1"
    assert f'href="https://n.example.com{address}"' in sent(world, 0)


def test_a_change_of_plan_changes_nothing_of_what_was_sent(browser, world):
    before = browser.get(f"/read/{unsubscribe_id(world)}/1").text
    with world.database.writing() as session:
        reader = find_by_address(session, world.publication.id, addresses(1)[0])
        change_plan(session, reader.id, "pro", by=COMMAND_LINE, now=world.clock())
    assert browser.get(f"/read/{unsubscribe_id(world)}/1").text == before


def test_who_was_skipped_has_nothing_to_read(store, tmp_path):
    world = make_world(store, MemoryProvider())
    world.readers(addresses(2))
    mailing = world.running()
    with world.database.writing() as session:
        leave(session, unsubscribe_id(world), channel=LeavingChannel.page, by=COMMAND_LINE, now=world.clock())
    world.dispatch()
    url = world.database.url.render_as_string(hide_password=False)
    service = Service(Settings(_env_file=None, database_url=url, data_dir=tmp_path))
    with TestClient(create_app(service)) as client:
        assert client.get(f"/read/{unsubscribe_id(world)}/{mailing}").status_code == 404
        assert client.get(f"/read/{unsubscribe_id(world, 1)}/{mailing}").status_code == 200
    service.database.close()


@pytest.mark.parametrize("path", ["/read/nobody/1", "/read/{id}/2", "/read/{id}/x", "/read/{id}/99999999999999999999"])
def test_a_link_that_leads_to_no_mail_is_said_kindly(browser, world, path):
    answer = browser.get(path.format(id=unsubscribe_id(world)), headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert "This mail is not here any more" in answer.text


def test_the_mail_may_run_nothing_and_is_indexed_by_nobody(browser, world):
    headers = browser.get(f"/read/{unsubscribe_id(world)}/1").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script" not in headers["content-security-policy"]
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
    assert "noindex" in headers["x-robots-tag"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_nothing_changes_by_reading(browser, world, method):
    def everything():
        with world.database.reading() as session:
            return [session.execute(table.select()).all() for table in SQLModel.metadata.sorted_tables]

    before = everything()
    for path in (f"/read/{unsubscribe_id(world)}/1",):
        answer = browser.request(method, path)
        assert answer.status_code == (200 if method in {"GET", "HEAD"} else 405)
    assert everything() == before
