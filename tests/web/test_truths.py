"""Pages say what is true: after a second press, in the other order, with a lost pepper, in the language chosen."""

import re
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import update
from starlette.requests import Request

from newsletter.composition import Service
from newsletter.outbox import Notice, NoticeState
from newsletter.publications import PublicationForm, add_publication
from newsletter.web.app import create_app
from newsletter.web.forms import ip_of
from subscribers.actors import CLOCK, COMMAND_LINE
from subscribers.consent import consent_of
from subscribers.lapsing import PENDING_FOR, lapse
from subscribers.models import Plan, SubscriptionState, SuppressionReason
from subscribers.plans import NewPlan, add_plan
from subscribers.roster import find_by_address
from subscribers.suppression import SuppressionOrder, add, reasons_against
from tests.web.test_signing_up import ask, hidden  # noqa: F401 - a fixture and what it uses
from tests.world import addresses


READER = addresses(1)[0]
ENGLISH = {"accept-language": "en"}
PEOPLE = ENGLISH | {"accept": "text/html,*/*"}


@pytest.fixture
def leaving(site):
    return f"/u/{site.reader().unsubscribe_id}"


def press(site, link, **said):
    return site.browser.post(link, data={"from": "page", **said}, headers=ENGLISH)


def suppress(site, reason=SuppressionReason.soft_bounces):
    world = site.world
    order = SuppressionOrder(READER, reason, world.publication.id)
    with world.database.writing() as session:
        add(session, order, hasher=world.hasher, by=COMMAND_LINE, now=site.clock())


def test_who_reads_but_gets_nothing_is_told_and_comes_back_by_confirming(site, ask):  # noqa: F811
    suppress(site)
    page = site.browser.get(f"/preferences/{site.reader().unsubscribe_id}", headers=ENGLISH).text
    assert "nothing is sent just now" in page
    ask(READER)
    assert [notice.kind for notice in site.notices()] == ["confirm"]
    assert "will receive every issue" in site.browser.post(site.confirm_link(), headers=ENGLISH).text
    with site.world.database.reading() as session:
        assert not reasons_against(session, site.world.publication.id, READER, hasher=site.world.hasher)


def test_looking_and_pressing_say_the_same_of_a_link_that_confirmed_before_its_reader_left(site, ask):  # noqa: F811
    ask("new@example.org")
    link = site.confirm_link()
    site.browser.post(link)
    site.browser.post(f"/u/{site.reader('new@example.org').unsubscribe_id}")
    looked, pressed = site.browser.get(link, headers=ENGLISH), site.browser.post(link, headers=ENGLISH)
    assert (looked.status_code, pressed.status_code) == (410, 410)
    assert looked.text == pressed.text


def test_the_ledger_proves_the_plan_that_the_form_showed(site, ask):  # noqa: F811
    ask("new@example.org")
    reader = site.reader("new@example.org")
    site.browser.post(f"/u/{reader.unsubscribe_id}")
    with site.world.database.writing() as session:
        session.add(
            Plan(publication_id=site.world.publication.id, code="short", name="Short", position=9, is_public=True)
        )
    ask("new@example.org", plan="short")
    with site.world.database.reading() as session:
        asked = [event.plan for event in consent_of(session, reader.id) if event.kind == "asked"]
    assert asked == ["free", "short"]


def test_the_welcome_speaks_as_the_form_did(site, ask):  # noqa: F811
    ask("new@example.org")
    site.browser.post(site.confirm_link())
    (welcome,) = [notice for notice in site.notices() if notice.kind == "welcome"]
    assert (welcome.locale, welcome.detail["frequency"]) == ("en", "weekly")
    assert site.reader("new@example.org").locale == "en"


def test_asking_again_for_an_address_keeps_its_link_and_a_full_mailbox_loses_nothing(site):
    page = f"/preferences/{site.reader().unsubscribe_id}"
    said = {"do": "address", "email": "next@example.org"}
    answers = [site.browser.post(page, data=said, headers=ENGLISH).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    assert len({notice.opt_in_id for notice in site.notices()}) == 1
    assert "Address changed" in site.browser.post(site.confirm_link(), headers=ENGLISH).text


def test_undo_pressed_twice_says_that_the_reader_is_back_and_too_late_shows_the_way(site, leaving):
    press(site, leaving, do="leave")
    for _ in range(2):
        assert " again" in press(site, leaving, do="undo").text
    press(site, leaving, do="leave")
    site.clock.now += timedelta(hours=25)
    assert "/sign-up/weekly" in press(site, leaving, do="undo").text
    assert site.reader().state is SubscriptionState.left


def test_leaving_and_undoing_in_turns_mails_one_goodbye_a_day(site, leaving):
    for _ in range(4):
        press(site, leaving, do="leave")
        with site.world.database.writing() as session:
            session.execute(update(Notice).values(state=NoticeState.accepted))
        press(site, leaving, do="undo")
    assert [notice.kind for notice in site.notices()] == ["goodbye"]
    site.clock.now += timedelta(hours=25)
    press(site, leaving, do="leave")
    assert [notice.kind for notice in site.notices()] == ["goodbye", "goodbye"]


def test_only_a_button_of_the_page_acts_and_only_a_reason_of_the_list_is_thanked(site, leaving):
    before = site.everything()
    assert press(site, leaving, do="something").status_code == 422
    press(site, leaving, do="why", reason="because")
    assert site.everything() == before
    press(site, leaving, do="leave")
    assert 'role="status"' not in press(site, leaving, do="why", reason="because").text
    assert 'role="status"' in press(site, leaving, do="why", reason="other").text


def test_who_never_confirmed_is_not_told_to_have_left(site, ask):  # noqa: F811
    # A second subscription keeps the person, and so the page.
    with site.world.database.writing() as session:
        form = PublicationForm(name="Second", sender="x@news.example.com")
        second = add_publication(session, "second", form, now=site.clock())
        add_plan(session, NewPlan(second.id, "free"))
    page = site.browser.get("/sign-up/second", headers=ENGLISH).text
    said = {"email": READER, "words": hidden(page, "words"), "agreed1": "yes", "agreed2": "yes"}
    site.browser.post("/sign-up/second", data=said, headers=ENGLISH)
    with site.world.database.writing() as session:
        pending = find_by_address(session, second.id, READER)
        lapse(session, by=CLOCK, now=site.clock() + PENDING_FOR + timedelta(seconds=1))
    answer = site.browser.get(f"/u/{pending.unsubscribe_id}", headers=ENGLISH).text
    assert "never began" in answer
    assert "/sign-up/second" in answer


def test_nobody_who_only_asked_has_a_departure_to_take_back(site, ask):  # noqa: F811
    ask("new@example.org")
    link = f"/u/{site.reader('new@example.org').unsubscribe_id}"
    assert "Undo unsubscribing" not in press(site, link, do="leave").text
    press(site, link, do="undo")
    assert site.reader("new@example.org").state is SubscriptionState.left


@pytest.fixture
def without_pepper(site, tmp_path):
    lost = site.service.settings.model_copy(update={"address_pepper": SecretStr("another secret of sixteen")})
    service = Service(lost, site.world.clock)
    with TestClient(create_app(service), raise_server_exceptions=False) as browser:
        yield browser
    service.database.close()


def test_leaving_everything_works_also_where_the_pepper_is_lost(site, leaving, without_pepper):
    answer = without_pepper.post(leaving, data={"from": "page", "do": "everything"}, headers=PEOPLE)
    assert answer.status_code == 200
    assert site.reader().state is SubscriptionState.left


def test_other_pages_say_kindly_that_they_cannot_while_the_pepper_is_lost(site, without_pepper):
    page = f"/preferences/{site.reader().unsubscribe_id}"
    answer = without_pepper.get(page, headers=PEOPLE)
    assert (answer.status_code, "We cannot be reached just now" in answer.text) == (503, True)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/", 405), ("PUT", "/issues/", 405), ("GET", "/x", 404)]
)
def test_people_get_a_page_and_programs_a_plain_answer(site, method, path, status):
    page = site.browser.request(method, path, headers=PEOPLE)
    plain = site.browser.request(method, path)
    assert (page.status_code, plain.status_code) == (status, status)
    assert "<h1>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert plain.headers["content-type"] == "application/json"
    assert page.headers.get("allow") == plain.headers.get("allow")


def test_a_language_that_was_chosen_goes_along(site, leaving):
    for page in ("/sign-up/weekly", leaving, f"/preferences/{site.reader().unsubscribe_id}", "/issues/weekly/"):
        html = site.browser.get(f"{page}?lang=en").text
        own = [link for link in re.findall(r'<a [^>]*href="(/[^"]*)"', html) if "feed" not in link]
        assert own
        assert all("lang=en" in link for link in own), (page, own)
    assert "page=2" in site.browser.get("/issues/weekly/?page=2").text


def test_control_characters_of_a_form_reach_no_store(site, ask):  # noqa: F811
    assert ask("new@example.org", plan="fr\0ee", words="\0").status_code == 422
    assert ask("ne\0w@example.org").status_code == 200
    assert site.reader("new@example.org").state is SubscriptionState.pending


def test_a_form_of_another_kind_is_told_so(site):
    answer = site.browser.post("/sign-up/weekly", files={"email": (None, "new@example.org")}, headers=ENGLISH)
    assert (answer.status_code, "did not arrive whole" in answer.text) == (422, True)


def test_what_a_request_says_of_its_host_is_no_proof(site, ask):  # noqa: F811
    ask("new@example.org", headers=ENGLISH | {"host": "evil.example", "origin": "https://anna@blog.example:8443/x?y"})
    with site.world.database.reading() as session:
        (event,) = consent_of(session, site.reader("new@example.org").id)
    assert "evil" not in event.source
    assert event.source.endswith("/sign-up/weekly from https://blog.example:8443")


@pytest.mark.parametrize(("connected", "kept"), [("::ffff:203.0.113.9", "203.0.113.9"), ("2001:db8::1", "2001:db8::1")])
def test_an_ipv4_address_in_ipv6_clothes_is_that_address(connected, kept):
    assert ip_of(Request({"type": "http", "client": (connected, 1), "headers": []})) == kept
