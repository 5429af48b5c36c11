"""The copy is judged as the real audience is, holds nobody real, and changes nothing."""

import pytest
from sqlalchemy import func, text
from sqlmodel import col, select

from newsletter.database import Database
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Batch, Delivery
from newsletter.migrations import migrate
from newsletter.providers.base import Ending, Message, Recipient
from newsletter.providers.memory import MemoryProvider
from newsletter.rehearsal.copying import Piece, copy
from newsletter.rehearsal.guard import InventedOnly
from subscribers.errors import RefusedFilter
from subscribers.filters import EVERYBODY, parse_filter
from subscribers.hashing import AddressHasher
from subscribers.models import Plan, Subscriber
from tests.rehearsal.audience import (
    COUNT,
    EXCLUSIONS,
    make_audience,
    nobody_is_real,
    secrets_of_the_audience,
)
from tests.tables import everything
from tests.world import World, make_world


@pytest.fixture
def world(store) -> World:
    world = make_world(store, MemoryProvider())
    make_audience(world)
    return world


@pytest.fixture
def copied(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/copy.db")
    migrate(database)
    yield database
    database.close()


HASHER = AddressHasher(b"a pepper of the copy alone")


def rehearsed(world: World, copied: Database, issue_id: int, **piece) -> tuple[World, int]:
    """Copy, and freeze the copy; give its world and the mailing's id."""
    meant = piece.pop("audience", EVERYBODY)
    with world.database.reading() as session:
        copy(
            session,
            copied,
            Piece(issue_id, live=False, audience=meant, **piece),
            hasher=HASHER,
            on_chunk=int,
            now=world.clock(),
        )
    there = World(copied, world.publication, world.workshop, MemoryProvider(), world.clock, HASHER)
    mailing_id = there.schedule(issue_id, again=piece.get("again", False))
    there.begin()
    return there, mailing_id


def shape(world: World, mailing_id: int) -> list[tuple[str, str, int]]:
    """Count a mailing's recipients by plan and lane."""
    found = (
        select(Plan.code, Batch.lane, func.count())
        .select_from(Delivery)
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .join(Plan, text("plan.id = (SELECT plan_id FROM variant WHERE variant.id = batch.variant_id)"))
        .where(Delivery.mailing_id == mailing_id)
        .group_by(col(Plan.code), col(Batch.lane))
        .order_by(col(Plan.code), col(Batch.lane))
    )
    with world.database.reading() as session:
        return [tuple(row) for row in session.execute(found)]


@pytest.mark.parametrize("audience", ["", "plan=pro", "domain=qq.com,139.com", "state!=pending plan=free"])
def test_the_copy_is_judged_as_the_real_audience_is(world, copied, audience):
    issue_id, meant = world.issue(), parse_filter(audience)
    there, there_id = rehearsed(world, copied, issue_id, audience=meant)
    here_id = world.schedule(issue_id, audience=meant)
    world.begin()
    assert there.account(there_id) == world.account(here_id)
    assert shape(there, there_id) == shape(world, here_id)
    if not audience:
        assert world.account(here_id).exclusions == EXCLUSIONS
        assert world.account(here_id).candidates == COUNT + 1


def test_who_has_the_issue_already_has_it_in_the_copy(world, copied):
    issue_id = world.issue()
    world.schedule(issue_id, audience=parse_filter("plan=pro"))
    world.begin()
    world.dispatch()
    there, there_id = rehearsed(world, copied, issue_id)
    here_id = world.schedule(issue_id)
    world.begin()
    assert there.account(there_id) == world.account(here_id)
    assert there.account(there_id).exclusions["already_reached"] == 18


def test_again_reaches_them_in_the_copy_too(world, copied):
    issue_id = world.issue()
    world.schedule(issue_id)
    world.begin()
    world.dispatch()
    there, there_id = rehearsed(world, copied, issue_id, again=True)
    assert "already_reached" not in there.account(there_id).exclusions


def test_an_allow_list_keeps_as_many_out(world, copied):
    listed = ("@gmail.com", "geheim.0@qq.com")
    issue_id = world.issue()
    with world.database.reading() as session:
        piece = Piece(issue_id, live=False, allow_list=listed)
        copy(session, copied, piece, hasher=HASHER, on_chunk=int, now=world.clock())
    allowed = ("@qq.rehearsal.invalid", "@gmail.rehearsal.invalid")
    there = World(copied, world.publication, world.workshop, MemoryProvider(), world.clock, HASHER, allow_list=allowed)
    there_id = there.schedule(issue_id)
    there.begin()
    here = world.having(allow_list=listed)
    here_id = here.schedule(issue_id)
    here.begin()
    assert there.account(there_id) == here.account(here_id)


def test_the_copy_holds_nobody_and_the_real_store_is_as_before(world, copied, tmp_path):
    issue_id = world.issue()
    before = everything(world.database)
    there, _ = rehearsed(world, copied, issue_id)
    there.dispatch()
    assert everything(world.database) == before
    with copied.reading() as session:
        assert nobody_is_real([one for one in session.exec(select(Subscriber.email)) if one])
    there.database.close()
    written = b"".join(file.read_bytes() for file in tmp_path.glob("copy.db*"))
    assert b"rehearsal.invalid" in written
    assert [secret for secret in secrets_of_the_audience() if secret in written] == []


def test_an_audience_that_cannot_be_asked_for_is_refused_before_anything_is_written(world, copied):
    piece = Piece(world.issue(), live=False, audience=parse_filter("plan=gold"))
    with world.database.reading() as session, pytest.raises(RefusedFilter):
        copy(session, copied, piece, hasher=HASHER, on_chunk=int, now=world.clock())
    with copied.reading() as session:
        assert session.exec(select(func.count()).select_from(Plan)).one() == 0


def test_a_rehearsal_that_the_guard_stops_says_so(world):
    """SendGrid has refused nothing, and its key is not to blame."""
    world.provider = InventedOnly(world.provider)
    mailing_id = world.running()
    world.dispatch()
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.halted
    assert mailing.state_reason == "the call was not made: a recipient was not invented: nothing was submitted"


@pytest.mark.parametrize("real", ["geheim.1@qq.com", "r1@qq.com"])
def test_a_request_that_names_anybody_real_does_not_leave(real):
    provider = MemoryProvider()
    to = tuple(Recipient(one, "", {}, {}, {}) for one in ("r1@qq.rehearsal.invalid", real))
    message = Message("n@example.com", "n", "n@example.com", "s", "<p>h</p>", "t", to)
    assert InventedOnly(provider).submit(message).ending is Ending.unauthorised
    assert provider.accepted == []
