"""`/take-back/<token>`: the mailbox that loses a reader's mails is told, and its word puts the address back."""

from datetime import timedelta

import pytest

from newsletter.signing import LIFETIMES, Purpose
from subscribers.actors import COMMAND_LINE
from subscribers.erasure import erase
from subscribers.models import SuppressionReason
from subscribers.suppression import reasons_against
from tests.world import addresses


READER, OTHER = addresses(2)
THIEF = "thief@example.org"
ENGLISH = {"accept-language": "en"}


@pytest.fixture
def stolen(site):
    """Let somebody who has a reader's mail lead the mails to another mailbox; give the link that the old one gets."""
    page = f"/preferences/{site.reader().unsubscribe_id}"
    site.browser.post(page, data={"do": "address", "email": THIEF})
    site.browser.post(site.confirm_link())
    told = site.notices()[-1]
    assert told.kind == "address_changed"
    token = site.service.signer.sign(Purpose.take_back, int(told.detail["event_id"]), at=told.created_at)
    return f"/take-back/{token}"


def against(site, address):
    world = site.world
    with world.database.reading() as session:
        return reasons_against(session, world.publication.id, address, hasher=world.hasher)


def test_the_old_mailbox_puts_its_address_back_and_looking_changes_nothing(site, stolen):
    before = site.everything()
    page = site.browser.get(stolen, headers=ENGLISH)
    assert (page.status_code, "t***@e**.org" in page.text) == (200, True)
    assert site.everything() == before
    for heading in ("Your address is back", "Your address stands as it was"):
        answer = site.browser.post(stolen, headers=ENGLISH)
        assert heading in answer.text
        assert "r***@e**.com" in answer.text
    assert site.reader().email == READER
    assert against(site, READER) == ()


def test_the_link_ends_after_its_days_and_bends_to_nobody(site, stolen):
    before = site.everything()
    for link in (f"{stolen[:-1]}{'A' if stolen[-1] != 'A' else 'B'}", "/take-back/x"):
        assert site.browser.post(link).status_code == 410
    site.clock.now += LIFETIMES[Purpose.take_back] + timedelta(seconds=1)
    assert site.browser.get(stolen).status_code == 410
    assert site.browser.post(stolen).status_code == 410
    assert site.everything() == before


def test_an_open_wish_of_whoever_took_the_address_ends_with_it(site, stolen):
    page = f"/preferences/{site.reader(THIEF).unsubscribe_id}"
    site.browser.post(page, data={"do": "address", "email": "next@example.org"})
    waiting = site.confirm_link()
    site.browser.post(stolen)
    assert site.browser.post(waiting).status_code == 410
    assert site.reader().email == READER


def test_after_an_erasure_there_is_nothing_to_take_back(site, stolen):
    world = site.world
    with world.database.writing() as session:
        erase(session, THIEF, hasher=world.hasher, by=COMMAND_LINE, now=site.clock())
    assert site.browser.get(stolen).status_code == 410
    assert site.browser.post(stolen).status_code == 410


def test_an_old_list_does_not_bring_in_who_has_moved_but_their_own_sign_up_does(site, stolen):
    assert against(site, READER) == (SuppressionReason.moved,)
    site.world.readers([READER])
    with pytest.raises(Exception, match="nobody"):
        site.reader(READER)
