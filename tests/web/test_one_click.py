"""The matrix of one-click: however a mail program posts, and whatever became of the rest, it works."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from newsletter.composition import Service
from newsletter.issues.models import Issue
from newsletter.web.app import create_app
from subscribers.actors import COMMAND_LINE
from subscribers.consent import consent_of
from subscribers.hashing import adopt_peppers
from subscribers.models import SubscriptionState
from subscribers.plan_changes import PlanChange, change_plan
from tests.tables import empty
from tests.world import addresses


ONE_CLICK = {"List-Unsubscribe": "One-Click"}
HOSTILE = {"cookie": "session=stolen; u=1", "origin": "https://evil.example", "referer": "https://evil.example/x"}
WAYS: dict[str, dict[str, Any]] = {
    "urlencoded": {"data": ONE_CLICK},
    "multipart": {"files": {"List-Unsubscribe": (None, "One-Click")}},
    "empty": {"content": b""},
    "hostile": {"data": ONE_CLICK, "headers": HOSTILE},
    "another method's words": {"data": {"_method": "GET", "undo": "1"}},
    "json": {"json": {"List-Unsubscribe": "One-Click"}},
}


def nothing_happened(site):
    """The mail was never so old that anything about it mattered."""


def everything_of_the_issue_is_deleted(site):
    """The mailing and its issue are gone, and so is the reader's plan: the reader was moved to another one."""
    with site.world.database.writing() as session:
        change_plan(session, site.reader().id, PlanChange("pro"), by=COMMAND_LINE, now=site.clock())
        empty(session, Issue)


def four_hundred_days_pass(site):
    site.clock.forward(timedelta(days=400).total_seconds())


def the_keys_are_changed_twice(site):
    """A pepper and a link key are put after the old ones, twice; at the end the old link keys are gone."""
    old = site.world.hasher.peppers[0].decode()
    for peppers in ([old, "the second pepper of all"], [old, "the second pepper of all", "the third pepper of all"]):
        secret = SecretStr(",".join(peppers))
        update = {"address_pepper": secret, "link_key": SecretStr(peppers[-1])}
        service = replace(site.service, settings=site.service.settings.model_copy(update=update))
        more = 1
        while more:
            with site.world.database.writing() as session:
                more = adopt_peppers(session, service.hasher, now=site.clock())
        restart(site, service)


def the_publication_is_renamed(site):
    with site.world.database.writing() as session:
        publication = session.merge(site.world.publication)
        publication.name, publication.code = "另一个名字", "renamed"


def restart(site, service: Service):
    site.service.database.close()
    site.service = service
    site.browser = TestClient(create_app(service), follow_redirects=False, raise_server_exceptions=False)


CHANGES = [
    nothing_happened,
    everything_of_the_issue_is_deleted,
    four_hundred_days_pass,
    the_keys_are_changed_twice,
    the_publication_is_renamed,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("way", WAYS)
def test_a_button_in_a_mail_program_always_works(site, way, change):
    site.world.running()
    site.world.dispatch()
    reader, other = site.reader(), site.reader(addresses(2)[1])
    change(site)
    for _ in range(2):
        answer = site.browser.post(f"/u/{reader.unsubscribe_id}", **WAYS[way])
        assert (answer.status_code, answer.text) == (200, "unsubscribed\n")
        assert {"location", "set-cookie"}.isdisjoint(answer.headers)
    with site.world.database.reading() as session:
        left = [event for event in consent_of(session, reader.id) if event.kind == "left"]
    assert [(event.source, event.at) for event in left] == [("one_click", site.clock())]
    assert site.reader_state(reader.id) is SubscriptionState.left
    assert site.reader_state(other.id) is SubscriptionState.confirmed
    site.service.database.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("unknown", ["nobody", "x" * 22, "%00", "é" * 22])
def test_an_unknown_id_is_answered_the_same_way(site, way, unknown):
    before = site.everything()
    answer = site.browser.post(f"/u/{unknown}", **WAYS[way])
    assert answer.status_code == 200
    assert {"location", "set-cookie"}.isdisjoint(answer.headers)
    assert site.everything() == before


def test_a_mail_program_never_brings_back_or_gives_reasons(site):
    link = f"/u/{site.reader().unsubscribe_id}"
    site.browser.post(link, data=ONE_CLICK)
    before = site.everything()
    for said in ({"do": "undo"}, {"do": "why", "reason": "other"}, {"do": "everything"}, ONE_CLICK):
        assert site.browser.post(link, data=said).text == "unsubscribed\n"
    assert site.everything() == before
