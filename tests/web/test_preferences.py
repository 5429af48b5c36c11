"""`/preferences/<id>`: plan, pause, address; each button does what it says, and the page says what is true."""

from datetime import UTC, datetime, timedelta

import pytest

from newsletter.publications import PublicationForm, set_publication
from subscribers.actors import COMMAND_LINE
from subscribers.models import Plan
from subscribers.plan_changes import PlanChange, change_plan
from tests.world import addresses


READER, OTHER = addresses(2)
ENGLISH = {"accept-language": "en"}


@pytest.fixture
def press(site):
    def _press(do, reader=READER, **said):
        return site.browser.post(
            site.reader(reader) and page_of(site, reader), data={"do": do, **said}, headers=ENGLISH
        )

    return _press


def page_of(site, reader=READER):
    return f"/preferences/{site.reader(reader).unsubscribe_id}"


def show(site):
    return site.browser.get(page_of(site), headers=ENGLISH).text


@pytest.fixture
def two_public_plans(site):
    with site.world.database.writing() as session:
        session.add(
            Plan(publication_id=site.world.publication.id, code="short", name="Short", position=9, is_public=True)
        )


def test_the_page_shows_what_there_is_and_whole_addresses_never(site):
    page = show(site)
    assert "r***@e**.com" in page
    assert READER not in page
    assert "You are subscribed to" in page


def test_plans_that_readers_may_give_themselves_are_offered(site, press, two_public_plans):
    assert 'value="short"' in show(site)
    answer = press("plan", plan="short")
    assert "You are on the Short plan now." in answer.text
    assert site.reader().plan == "short"


@pytest.mark.parametrize("plan", ["pro", "none", "", "' OR 1=1"])
def test_other_plans_are_not_given(site, press, two_public_plans, plan):
    assert press("plan", plan=plan).status_code == 422
    assert site.reader().plan == "free"


def test_a_plan_that_was_bought_is_not_lost_by_a_slip(site, press, two_public_plans):
    with site.world.database.writing() as session:
        change_plan(session, site.reader().id, PlanChange("pro"), by=COMMAND_LINE, now=site.clock())
    assert 'name="plan"' not in show(site)
    assert press("plan", plan="free").status_code == 422
    assert site.reader().plan == "pro"


def test_plans_that_are_bought_elsewhere_are_linked(site):
    with site.world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(upgrade_url="https://news.example.com/pro"))
    assert 'href="https://news.example.com/pro"' in show(site)


def test_a_pause_is_shown_with_its_day_in_the_publications_zone(site, press):
    site.clock.now = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert "Paused until 2026-12-22" in press("pause", weeks="4").text
    assert site.reader().paused_until == site.clock() + timedelta(weeks=4)
    assert "Paused until 2026-12-22" in show(site)
    assert "Resumed" in press("resume").text
    assert site.reader().paused_until is None


@pytest.mark.parametrize("weeks", ["0", "13", "-1", "x", "", "٤", "9" * 400])
def test_a_pause_has_bounds(site, press, weeks):
    assert press("pause", weeks=weeks).status_code == 422
    assert site.reader().paused_until is None


def test_a_new_address_is_confirmed_from_its_own_mailbox(site, press):
    assert "on its way" in press("address", email="New@Example.org").text
    assert [notice.kind for notice in site.notices()] == ["confirm_address"]
    link = site.confirm_link()
    page = site.browser.get(link, headers=ENGLISH).text
    assert "N***@E**.org" in page
    before = site.reader()
    done = site.browser.post(link, headers=ENGLISH)
    assert "Address changed" in done.text
    after = site.reader("new@example.org")
    assert (after.id, after.unsubscribe_id) == (before.id, before.unsubscribe_id)
    assert [notice.kind for notice in site.notices()] == ["confirm_address", "address_changed"]
    assert "Address changed" in site.browser.post(link, headers=ENGLISH).text


def test_only_the_owner_learns_that_an_address_is_known(site, press):
    unknown, known = press("address", email="new@example.org"), press("address", email=OTHER)
    assert known.text == unknown.text
    done = site.browser.post(site.confirm_link(), headers=ENGLISH)
    assert "in use already" in done.text
    assert site.reader().email == READER


@pytest.mark.parametrize("email", ["", "x", "a@b@c", "a" * 400])
def test_a_bad_address_is_told(site, press, email):
    answer = press("address", email=email)
    assert (answer.status_code, "No mail can reach" in answer.text) == (422, True)


def test_who_left_can_change_nothing_but_come_back(site, press):
    site.browser.post(f"/u/{site.reader().unsubscribe_id}")
    for do, said in (("pause", {"weeks": "2"}), ("address", {"email": "new@example.org"}), ("plan", {"plan": "free"})):
        assert press(do, **said).status_code == 422
    page = show(site)
    assert "Undo unsubscribing" in page
    assert "<form" not in page


def test_a_button_that_nobody_made_does_nothing(site, press):
    before = site.everything()
    assert press("destroy").status_code == 422
    assert press("").status_code == 422
    assert site.everything() == before


@pytest.mark.parametrize("unknown", ["x", "x" * 22, "' OR 1=1 --"])
def test_an_unknown_id_is_answered_neutrally(site, unknown):
    for method in ("GET", "POST"):
        answer = site.browser.request(method, f"/preferences/{unknown}", headers=ENGLISH)
        assert (answer.status_code, "belongs to no subscription" in answer.text) == (404, True)
