"""The freeze: candidates = recipients + exclusions, each reader once an issue, safe to repeat and to interrupt."""

import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import delete, true
from sqlalchemy import select as select_columns
from sqlmodel import select

from newsletter.delivery import audience
from newsletter.delivery.audience import freeze
from newsletter.delivery.life import pause
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import begin_due, conclude, hold_the_other_side, move, resume
from newsletter.delivery.models import Batch, Mailing, Variant
from newsletter.delivery.partitioning import Piece
from newsletter.errors import Refused
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, set_publication
from subscribers.actors import COMMAND_LINE
from subscribers.attributes import add_attribute
from subscribers.errors import RefusedFilter
from subscribers.filters import parse_filter
from subscribers.leaving import leave_by_address
from subscribers.models import Attribute, AttributeKind, SuppressionReason
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import find_by_address
from subscribers.suppression import SuppressionOrder, add
from tests.world import ISSUE, addresses, make_world


def test_every_candidate_is_a_recipient_or_excluded_with_a_reason(world):
    world.readers(addresses(5))
    world.readers(addresses(2, start=100), confirmed=False)
    with world.database.writing() as session:
        leave_by_address(session, world.publication.id, "r00000@example.com", by=COMMAND_LINE, now=world.clock())
        order = SuppressionOrder("r00001@example.com", SuppressionReason.complaint, origin="test")
        add(session, order, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())
    account = world.account(world.running())
    assert account.candidates == 7
    assert account.exclusions == {"pending": 2, "suppressed": 1, "unsubscribed": 1}
    assert account.standing.recipients == account.standing.pending == 3


def test_an_issue_for_one_plan_excludes_the_others(world):
    world.readers(addresses(3), plan="free")
    world.readers(addresses(2, start=50), plan="pro")
    mailing_id = world.schedule(world.issue(f"---\nplans: [pro]\n---\n{ISSUE}"))
    world.begin()
    account = world.account(mailing_id)
    assert (account.standing.recipients, account.exclusions) == (2, {"plan": 3})


def test_who_is_not_on_the_allow_list_is_excluded(world):
    world.readers(["me@example.com", "you@example.org", "they@example.net"])
    staging = world.having(allow_list=("me@example.com", "@example.org"))
    account = staging.account(staging.running())
    assert (account.standing.recipients, account.exclusions) == (2, {"not_on_allow_list": 1})


def test_more_readers_than_a_chunk_and_a_batch(world):
    """Chunks of the freeze and batches of the partition both end in the middle."""
    world.readers(addresses(2300))
    mailing_id = world.running()
    assert world.account(mailing_id).standing.recipients == 2300
    assert sum(world.states(mailing_id).values()) == 3
    world.dispatch()
    assert world.reached() == addresses(2300)


def test_a_mailing_without_recipients_ends_at_once(world):
    mailing_id = world.running()
    assert world.mailing(mailing_id).state is MailingState.finished


def test_a_mended_issue_reaches_only_who_does_not_have_it(world):
    world.readers(addresses(3))
    issue_id = world.issue()
    world.schedule(issue_id)
    world.begin()
    world.dispatch()
    world.readers(addresses(2, start=10))
    assert world.issue(ISSUE.replace("平稳", "平静"), revises=issue_id) == issue_id
    second = world.schedule(issue_id)
    world.begin()
    world.dispatch()
    assert world.account(second).exclusions == {"already_reached": 3}
    assert world.reached() == addresses(3) + addresses(2, start=10)


def test_again_reaches_everybody_once_more_and_is_on_record(world):
    world.readers(addresses(3))
    issue_id = world.issue()
    first = world.schedule(issue_id)
    world.begin()
    world.dispatch()
    second = world.schedule(issue_id, again=True)
    world.begin()
    world.dispatch()
    assert world.reached() == sorted(addresses(3) * 2)
    assert (world.mailing(first).again, world.mailing(second).again) == (False, True)


def test_a_try_against_the_local_sendgrid_uses_up_nothing_of_the_real_one(world):
    world.readers(addresses(3))
    issue_id = world.issue()
    world.schedule(issue_id)
    world.begin()
    world.dispatch()
    real = world.having(live=True)
    mailing_id = real.schedule(issue_id, live=True)
    real.begin()
    assert real.account(mailing_id).standing.recipients == 3


def test_a_mailing_never_begins_on_the_other_side_of_not_live(world):
    world.readers(addresses(1))
    mailing_id = world.schedule(world.issue())
    real = world.having(live=True)
    assert real.begin() == []
    with world.database.writing() as session:
        assert hold_the_other_side(session, live=True, now=world.clock()) == [mailing_id]
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.held
    assert "NOT LIVE" in mailing.state_reason


def test_many_clocks_begin_a_mailing_once(world):
    world.readers(addresses(1))
    mailing_id = world.schedule(world.issue())
    begun = []
    for _ in range(5):
        with world.database.writing() as session:
            begun += begin_due(session, live=False, now=world.clock())
    assert begun == [mailing_id]


def test_a_freeze_that_died_between_chunks_goes_on_where_it_was(world):
    """Whatever was committed stands; nobody is frozen twice and nobody is lost."""
    world.readers(addresses(2500))
    mailing_id = world.schedule(world.issue())
    with world.database.writing() as session:
        begin_due(session, live=False, now=world.clock())
    audience._store_variants(world.database, mailing_id, world.workshop)  # noqa: SLF001 - the steps of the freeze, cut
    assert audience._freeze_chunk(world.database, mailing_id, world.terms, world.clock()) is Piece.done  # noqa: SLF001
    freeze(world.database, mailing_id, world.terms, clock=world.clock)
    freeze(world.database, mailing_id, world.terms, clock=world.clock)
    account = world.account(mailing_id)
    assert account.candidates == account.standing.recipients == 2500
    with world.database.reading() as session:
        assert len(session.exec(select(Batch.id)).all()) == 3


#: As many as a freeze of three readers asks about, in chunks and batches of two.
PIECES = 8


@pytest.fixture
def in_pieces(world):
    """Three readers who are frozen and batched in pairs, and a mailing to take renderings from."""
    world.readers(addresses(3))
    mailing_id = world.schedule(world.issue())
    audience._store_variants(world.database, mailing_id, world.workshop)  # noqa: SLF001 - rendering takes longest
    return world.having(batch_size=2, chunk=2)


def begun_like_the_first(world) -> int:
    """Begin a mailing of the same renderings to the same readers."""
    with world.database.writing() as session:
        first = session.get_one(Mailing, 1)
        variants = session.exec(select(Variant).where(Variant.mailing_id == 1)).all()
        again = {"again": True, "state": MailingState.freezing, "begun_at": world.clock()}
        session.add(mailing := Mailing(**first.model_dump(exclude={"id"}) | again))
        session.flush()
        session.add_all(Variant(**one.model_dump(exclude={"id"}) | {"mailing_id": mailing.id}) for one in variants)
        return mailing.id


def frozen_while(world, others: Mapping[int, Callable[[int], object]]) -> int:
    """Freeze a mailing while others do something before some of the pieces; give its id."""
    mailing_id = begun_like_the_first(world)
    pieces = itertools.count()

    def is_stopping() -> bool:
        others.get(next(pieces), lambda _: None)(mailing_id)
        return False

    freeze(world.database, mailing_id, world.terms, clock=world.clock, is_stopping=is_stopping)
    return mailing_id


def everybody_is_mailed(world, mailing_id: int) -> None:
    """At the next tick at the latest."""
    freeze(world.database, mailing_id, world.terms, clock=world.clock)
    world.dispatch()
    assert world.mailing(mailing_id).state is MailingState.finished
    assert world.account(mailing_id).standing.accepted == 3


def test_a_freeze_that_is_paused_and_let_go_on_before_any_of_its_pieces_leaves_nobody_out(in_pieces):
    """It must not take "not freezing any more" for "all are frozen": nobody would be told who was left out."""
    world = in_pieces

    def stop(mailing_id: int) -> None:
        with world.database.writing() as session, suppress(Refused):
            pause(session, mailing_id, by=COMMAND_LINE, now=world.clock())

    def go_on(mailing_id: int) -> None:
        with world.database.writing() as session, suppress(Refused):
            resume(session, mailing_id, live=False, now=world.clock())

    for piece in range(PIECES):
        mailing_id = frozen_while(world, {piece: stop, piece + 1: go_on})
        go_on(mailing_id)
        everybody_is_mailed(world, mailing_id)


def test_another_machine_that_freezes_the_same_before_any_piece_leaves_nobody_out(in_pieces):
    world = in_pieces

    def freeze_too(mailing_id: int) -> None:
        freeze(world.database, mailing_id, world.terms, clock=world.clock)

    for piece in range(PIECES):
        everybody_is_mailed(world, frozen_while(world, {piece: freeze_too}))


def test_a_mailing_some_of_whose_recipients_stand_in_no_request_is_halted_and_never_finished(world):
    """However it came to that: the account balances, and still somebody would silently be left out."""
    world.readers(addresses(5))
    mailing_id = world.schedule(world.issue())
    with world.database.writing() as session:
        begin_due(session, live=False, now=world.clock())
    audience._store_variants(world.database, mailing_id, world.workshop)  # noqa: SLF001 - the steps of the freeze, cut
    audience._freeze_chunk(world.database, mailing_id, world.terms, world.clock())  # noqa: SLF001 - the same
    with world.database.writing() as session:
        assert move(session, mailing_id, MailingState.running, now=world.clock(), frozen_at=world.clock())
        assert conclude(session, mailing_id, now=world.clock()) is MailingState.halted
    assert world.mailing(mailing_id).state_reason.startswith("5 recipients stand in no request")


def test_who_subscribes_after_the_freeze_began_is_not_in_it(world):
    world.readers(addresses(1))
    mailing_id = world.running()
    world.readers(addresses(1, start=9))
    world.dispatch()
    assert world.account(mailing_id).candidates == 1


def test_looking_for_who_has_the_issue_already_uses_the_index(sqlite_store):
    """Without it a freeze takes the square of its readers: SQLite uses a partial index only where the words agree."""
    world = make_world(sqlite_store, MemoryProvider())
    mailing = world.mailing(world.schedule(world.issue()))
    judged = audience._judged(mailing, true(), 1000, (), world.clock())  # noqa: SLF001 - the statement itself is looked at
    with world.database.reading() as session:
        statement = select_columns(judged).compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all()
    assert any("uq_delivery_once_an_issue (issue_id=? AND subscriber_id=?" in str(row) for row in plan), plan


def test_who_was_forwarded_a_mail_signs_up_here_where_the_publication_names_no_page_of_its_own(world):
    world.readers(addresses(1))
    world = world.having(workshop=replace(world.workshop, public_url="https://n.example.com"))
    world.running()
    world.dispatch()
    (message,) = world.provider.accepted
    for part in (message.html, message.text):
        assert "https://n.example.com/sign-up/weekly" in part
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(subscribe_url="https://news.example.com/join"))
    world.schedule(world.issue("# 另一期\n\n一段。"))
    world.begin()
    world.dispatch()
    message = world.provider.accepted[-1]
    assert "https://news.example.com/join" in message.html
    assert "/sign-up/" not in message.html + message.text


def test_a_mailing_reaches_only_whom_its_conditions_name_when_it_begins(world):
    world.readers(addresses(2))
    world.readers(addresses(2, start=2), plan="pro")
    meant = parse_filter("plan=pro state=confirmed")
    mailing_id = world.schedule(world.issue(), audience=meant)
    assert world.mailing(mailing_id).audience == "plan=pro state=confirmed"
    # Who is meant is decided when it begins, and not when it was scheduled.
    world.readers(addresses(1, start=4), plan="pro")
    with world.database.writing() as session:
        left = find_by_address(session, world.publication.id, addresses(1, start=2)[0])
        change_plan(session, left.id, PlanChange("free"), by=COMMAND_LINE, now=world.clock())
    world.begin()
    world.dispatch()
    reached = {recipient.address for message in world.provider.accepted for recipient in message.recipients}
    assert reached == {addresses(1, start=3)[0], addresses(1, start=4)[0]}
    account = world.account(mailing_id)
    assert (account.candidates, account.balances) == (2, True)


def test_a_mailing_whose_audience_is_there_no_more_is_halted_with_the_reason(world):
    world.readers(addresses(1))
    with world.database.writing() as session:
        add_attribute(session, world.publication.id, "city", AttributeKind.text)
    mailing_id = world.schedule(world.issue(), audience=parse_filter("attr.city=上海"))
    with world.database.writing() as session:
        session.execute(delete(Attribute))
    world.begin()
    mailing = world.mailing(mailing_id)
    assert (mailing.state, "attr.city" in mailing.state_reason) == (MailingState.halted, True)


def test_an_audience_that_cannot_be_is_refused_when_it_is_scheduled(world):
    with pytest.raises(RefusedFilter, match="gold"):
        world.schedule(world.issue(), audience=parse_filter("plan=gold"))
