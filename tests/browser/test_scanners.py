"""A scanner follows every link of every kind of mail, also with a browser that runs scripts: no row changes."""

import re
import urllib.request
from dataclasses import replace

import pytest
from sqlmodel import select

from newsletter.delivery.dispatch import dispatch_next
from newsletter.notices.dispatch import send_next
from newsletter.outbox import FACTS, NoticeKind
from newsletter.rendering.mail import links_in
from subscribers.models import Subscription, SubscriptionState
from tests.local_sendgrid import local_sendgrid
from tests.office import WORDS, Office, make_office
from tests.served import served
from tests.tables import everything


pytestmark = pytest.mark.browser

#: Where the links of each mail lead: the first part of their paths. A notice that only tells something has none.
WAYS_OUT = {"u", "preferences"}
LEADS_TO = {
    "issue": {*WAYS_OUT, "read"},
    NoticeKind.confirm: {"confirm"},
    NoticeKind.already_subscribed: {"preferences"},
    NoticeKind.welcome: WAYS_OUT,
    NoticeKind.goodbye: {"preferences"},
    NoticeKind.sign_in: {"issues"},
    NoticeKind.read_again: {"read"},
    NoticeKind.confirm_address: {"confirm"},
    NoticeKind.address_changed: {"take-back"},
    NoticeKind.renewal: WAYS_OUT,
    NoticeKind.plan_changed: WAYS_OUT,
}


@pytest.fixture
def office(sqlite_store) -> Office:
    return make_office(sqlite_store)


@pytest.fixture
def service(office, tmp_path):
    """The service's pages on a port of their own."""
    with served(office.world, tmp_path) as service:
        yield service


@pytest.fixture
def delivered(office, service, tmp_path):
    """Send a mail of a kind, and give it as the local SendGrid delivered it, with links to the running pages."""
    with local_sendgrid(tmp_path / "emulator") as emulator:
        office.world = office.world.having(provider=emulator.provider())

        def _delivered(kind):
            mailing_id = office.world.running()
            desk = replace(office.world.desk, letterhead=service.letterhead)
            while dispatch_next(desk):
                pass
            if kind != "issue":
                facts = {name: WORDS[name] for name in FACTS[kind] - {"event_id"}} | {"mailing_id": str(mailing_id)}
                office.put(kind, **({} if "event_id" in FACTS[kind] else {"detail": facts}))
                assert send_next(service.notice_desk(emulator.provider()))
            return emulator.deliveries()[-1]

        yield _delivered


def links_of(mail, service):
    """Every link to our pages, of both parts and of the headers."""
    found = {*links_in(mail["html"]), *re.findall(r"https?://[^\s>]+", mail["text"] + str(mail["headers"]))}
    return {link for link in found if link.startswith(service.settings.public_url)}


def first_step(link, service):
    return link.removeprefix(service.settings.public_url).split("/")[1]


def fetch(link, method, data=None):
    request = urllib.request.Request(link, data=data, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        return answer.status


@pytest.mark.parametrize("kind", ["issue", *NoticeKind])
def test_following_every_link_changes_no_row(office, service, delivered, chromium, kind):
    links = links_of(delivered(kind), service)
    assert {first_step(link, service) for link in links} == LEADS_TO[kind]
    before = everything(office.world.database)
    pages = []
    for link in links:
        for method in ("GET", "HEAD"):
            assert fetch(link, method) == 200
        pages.append(chromium.new_page())
        pages[-1].goto(link)
    if pages:
        pages[-1].wait_for_timeout(3000)
    for page in pages:
        page.close()
    assert everything(office.world.database) == before


def test_one_post_to_the_header_link_does_what_no_look_does(office, service, delivered):
    mail = delivered("issue")
    (way_out,) = [link for link in links_of(mail, service) if first_step(link, service) == "u"]
    assert fetch(way_out, "POST", b"List-Unsubscribe=One-Click") == 200
    assert office.reader.state is SubscriptionState.left


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_a_person_leaves_by_keyboard_without_javascript(office, service, delivered, chromium, width, scheme):
    mail = delivered("issue")
    (way_out,) = [link for link in links_of(mail, service) if first_step(link, service) == "u"]
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, java_script_enabled=False, color_scheme=scheme, locale="en-GB"
    )
    page = context.new_page()
    page.goto(way_out)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="You have left").wait_for()
    context.close()
    with office.world.database.reading() as session:
        assert session.exec(select(Subscription.state)).one() is SubscriptionState.left
