"""The weekly slot: who takes it, what follows its changes, what waits for a person, and what operators are told."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlmodel import col, select

from newsletter.alerts import Alert, AlertKind
from newsletter.delivery import slots
from newsletter.delivery.agenda import Use, calendar
from newsletter.delivery.approvals import approve, retract, withdraw
from newsletter.delivery.binding import schedule_for_next_slot
from newsletter.delivery.filling import fill
from newsletter.delivery.issue_states import IssueState, state_of
from newsletter.delivery.life import cancel, unwind_next
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import begin_due, find_mailing, resume
from newsletter.delivery.models import Mailing
from newsletter.delivery.policies import set_policy
from newsletter.delivery.slots import SlotTime
from newsletter.errors import NotFound, Refused
from newsletter.issues.shelf import find_issue, put_back
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, set_publication
from newsletter.worker.clock import Clock
from subscribers.actors import COMMAND_LINE
from tests.world import ISSUE, World, addresses, make_world


#: Mondays at 09:00 in Shanghai, as the world's publication has it; the world begins on Monday the 23rd at 09:00.
FIRST, SECOND, THIRD = date(2026, 11, 30), date(2026, 12, 7), date(2026, 12, 14)
MONDAY_NINE = SlotTime(0, time(9))
NINE = datetime(2026, 11, 30, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def world(store) -> World:
    world = make_world(store, MemoryProvider())
    world.readers(addresses(2))
    with store.writing() as session:
        # Tests that are about content grown old set it themselves.
        set_policy(session, world.publication.id, {"stale_days": 60}, by=COMMAND_LINE, now=world.clock())
        slots.set_slot(session, world.publication, MONDAY_NINE, by=COMMAND_LINE, now=world.clock())
    return world


def source(number: int) -> str:
    return ISSUE.replace("第一期", f"第 {number} 期")


def doing(world, use_case, *words, **more):
    """Run a use case of the slot as an operator."""
    with world.database.writing() as session:
        return use_case(session, world.publication, *words, now=world.clock(), **more)


def ready(world, number=1, *, revises=None, overrides=()):
    issue = world.issue(source(number), revises=revises)
    with world.database.writing() as session:
        terms = {"overrides": overrides, "live": world.live, "by": COMMAND_LINE, "now": world.clock()}
        approve(session, issue, world.workshop, **terms)
    return issue


def at(world, moment):
    world.clock.now = moment


def filled(world):
    with world.database.writing() as session:
        return fill(session, world.publication.id, world.workshop, live=world.live, now=world.clock())


def tick(world):
    """What the clock does; gives the mailings that began."""
    filled(world)
    with world.database.writing() as session:
        return begin_due(session, live=world.live, now=world.clock())


def withdraw_by_mailing(session, mailing_id, *, by, now):
    withdraw(session, find_mailing(session, mailing_id).issue_id, live=False, now=now)


def retract_by_mailing(session, mailing_id, *, by, now):
    retract(session, find_mailing(session, mailing_id).issue_id, by=by, now=now)


def state(world, issue):
    with world.database.reading() as session:
        return state_of(session, find_issue(session, issue), live=world.live)


def mailings(world):
    with world.database.reading() as session:
        return session.exec(select(Mailing).order_by(col(Mailing.id))).all()


def bound(world):
    return {one.occurrence: one.issue_id for one in mailings(world) if one.occurrence}


def told(world, kind=AlertKind.slot_empty):
    with world.database.reading() as session:
        return session.exec(select(Alert).where(Alert.kind == kind).order_by(col(Alert.id))).all()


def uses(world, weeks=3):
    with world.database.reading() as session:
        entries = calendar(session, world.publication, live=world.live, now=world.clock(), weeks=weeks)
    return {one.occurrence.planned: (one.use, one.issue_id) for one in entries}


def test_an_issue_goes_from_draft_to_mailed_with_the_slot(world):
    issue = world.issue(source(1))
    assert state(world, issue) is IssueState.draft
    ready(world)
    assert state(world, issue) is IssueState.ready
    at(world, NINE - DAY - HOUR)
    assert filled(world) == []
    at(world, NINE - DAY)
    (mailing_id,) = filled(world)
    assert state(world, issue) is IssueState.scheduled
    mailing = world.mailing(mailing_id)
    assert (mailing.occurrence, mailing.due_at, mailing.state) == (FIRST, NINE, MailingState.scheduled)
    assert mailing.created_by == "operator:command-line"
    at(world, NINE - timedelta(seconds=1))
    assert tick(world) == []
    at(world, NINE)
    assert tick(world) == [mailing_id]
    assert state(world, issue) is IssueState.mailed
    assert tick(world) == []


def test_who_was_ready_first_goes_first_one_a_week(world):
    second, first = world.issue(source(2)), ready(world, 1)
    world.clock.forward(60)
    assert ready(world, 2) == second
    assert list(uses(world).values()) == [
        (Use.foreseen, first),
        (Use.foreseen, second),
        (Use.empty, None),
    ]
    at(world, NINE)
    tick(world)
    at(world, NINE + 7 * DAY)
    tick(world)
    assert bound(world) == {FIRST: first, SECOND: second}


def test_the_last_week_stands_in_the_calendar_with_what_became_of_it(world):
    issue = ready(world)
    at(world, NINE)
    tick(world)
    world.clock.forward(3600)
    assert uses(world, 1) == {FIRST: (Use.mailing, issue), SECOND: (Use.empty, None)}


def test_an_approval_belongs_to_the_revision(world):
    issue = ready(world)
    world.issue(source(1) + "\n补一句。\n", revises=issue)
    assert state(world, issue) is IssueState.draft
    at(world, NINE)
    assert tick(world) == []


def test_a_newer_revision_takes_a_bound_issue_out_and_says_so(world):
    issue = ready(world)
    at(world, NINE - HOUR)
    (mailing_id,) = filled(world)
    world.issue(source(1) + "\n补一句。\n", revises=issue)
    at(world, NINE)
    assert tick(world) == []
    assert world.mailing(mailing_id).state is MailingState.cancelled
    assert state(world, issue) is IssueState.draft
    assert "newer revision" in told(world)[0].facts["reason"]
    assert f"issue ready {issue}" in told(world)[0].facts["do"]


def test_an_approval_is_taken_back_also_when_it_is_bound(world):
    issue = ready(world)
    with world.database.writing() as session:
        assert withdraw(session, issue, live=False, now=world.clock())
        assert not withdraw(session, issue, live=False, now=world.clock())
    ready(world)
    at(world, NINE - HOUR)
    (mailing_id,) = filled(world)
    with world.database.writing() as session:
        assert withdraw(session, issue, live=False, now=world.clock())
    assert state(world, issue) is IssueState.draft
    assert world.mailing(mailing_id).state is MailingState.cancelled
    at(world, NINE)
    assert tick(world) == []


def test_what_is_scheduled_or_mailed_is_not_approved_once_more(world):
    issue = ready(world)
    at(world, NINE - HOUR)
    (mailing_id,) = filled(world)
    with pytest.raises(Refused, match=f"scheduled already, by mailing {mailing_id}"):
        ready(world)
    at(world, NINE)
    tick(world)
    with pytest.raises(Refused, match="mailed already"):
        ready(world)
    with world.database.writing() as session, pytest.raises(Refused, match="mailed already"):
        withdraw(session, issue, live=False, now=world.clock())


def test_blockers_are_found_by_the_approval_and_overrides_go_along(world):
    blocked = world.issue(source(1) + "\n{{ nickname }} 你好。\n")
    terms = {"live": False, "by": COMMAND_LINE, "now": world.clock()}
    with world.database.writing() as session, pytest.raises(Refused, match="fields"):
        approve(session, blocked, world.workshop, **terms)
    with world.database.writing() as session:
        approve(session, blocked, world.workshop, overrides=["fields", "size"], **terms)
    at(world, NINE)
    (mailing_id,) = tick(world)
    assert {one["check"] for one in world.mailing(mailing_id).overrides} == {"fields"}


def test_a_skipped_week_leaves_the_issue_for_the_next(world):
    issue = ready(world)
    at(world, NINE - HOUR)
    (mailing_id,) = filled(world)
    doing(world, slots.skip, FIRST, by=COMMAND_LINE)
    assert world.mailing(mailing_id).state is MailingState.cancelled
    assert state(world, issue) is IssueState.ready
    assert uses(world, 2) == {FIRST: (Use.skipped, None), SECOND: (Use.foreseen, issue)}
    at(world, NINE)
    assert tick(world) == []
    at(world, NINE + 7 * DAY)
    assert len(tick(world)) == 1
    assert bound(world) == {SECOND: issue}
    assert told(world) == []


def test_a_skipped_week_that_is_taken_back_is_filled(world):
    issue = ready(world)
    doing(world, slots.skip, FIRST, by=COMMAND_LINE)
    assert doing(world, slots.restore, FIRST)
    assert not doing(world, slots.restore, FIRST)
    at(world, NINE)
    tick(world)
    assert bound(world) == {FIRST: issue}


def test_a_moved_week_goes_at_its_other_time_and_stays_the_one_of_its_date(world):
    issue = ready(world)
    at(world, NINE - HOUR)
    (mailing_id,) = filled(world)
    later = NINE + 2 * DAY
    doing(world, slots.move_occurrence, FIRST, later, by=COMMAND_LINE)
    mailing = world.mailing(mailing_id)
    assert (mailing.due_at, mailing.first_call_at, mailing.occurrence) == (later, later, FIRST)
    at(world, NINE)
    assert tick(world) == []
    at(world, later)
    assert tick(world) == [mailing_id]
    assert bound(world) == {FIRST: issue}


def test_what_has_begun_is_neither_skipped_nor_moved(world):
    ready(world)
    at(world, NINE)
    tick(world)
    with pytest.raises(Refused, match="has begun"):
        doing(world, slots.skip, FIRST, by=COMMAND_LINE)
    with pytest.raises(Refused, match="has begun"):
        doing(world, slots.move_occurrence, FIRST, NINE + DAY, by=COMMAND_LINE)


@pytest.mark.parametrize(
    ("planned", "to", "why"),
    [
        (date(2026, 12, 1), NINE + DAY, "is a Tuesday, and the slot of 'weekly' is on Mondays"),
        (FIRST, NINE - 8 * DAY, "is past"),
        (FIRST, NINE + 400 * DAY, "more than a year"),
        (FIRST, NINE + 7 * DAY, "2026-12-07 comes at .* already"),
        (date(2026, 11, 9), NINE + DAY, "long past"),
    ],
)
def test_a_move_that_cannot_be_is_refused(world, planned, to, why):
    with pytest.raises(Refused, match=why):
        doing(world, slots.move_occurrence, planned, to, by=COMMAND_LINE)
    assert uses(world, 1)[FIRST] == (Use.empty, None)


def test_a_move_whose_regular_time_is_past_is_not_undone(world):
    doing(world, slots.move_occurrence, FIRST, NINE + DAY, by=COMMAND_LINE)
    at(world, NINE + HOUR)
    with pytest.raises(Refused, match="which is past"):
        doing(world, slots.restore, FIRST)


def test_another_time_moves_what_is_bound_and_another_day_binds_it_anew(world):
    issue = ready(world)
    at(world, NINE - HOUR)
    (mailing_id,) = filled(world)
    doing(world, slots.set_slot, SlotTime(0, time(12)), by=COMMAND_LINE)
    assert world.mailing(mailing_id).due_at == NINE + 3 * HOUR
    doing(world, slots.set_slot, SlotTime(2, time(9)), by=COMMAND_LINE)
    assert world.mailing(mailing_id).state is MailingState.cancelled
    assert uses(world, 1) == {date(2026, 12, 2): (Use.foreseen, issue)}


def test_a_time_that_is_past_lets_the_issue_wait_instead_of_mailing_it_at_once(world):
    issue = ready(world)
    at(world, NINE - HOUR)
    filled(world)
    doing(world, slots.set_slot, SlotTime(0, time(7)), by=COMMAND_LINE)
    assert tick(world) == []
    assert uses(world, 1) == {SECOND: (Use.foreseen, issue)}


def test_a_new_slot_makes_up_for_nothing_before_it(world):
    doing(world, slots.clear_slot)
    ready(world)
    at(world, NINE + HOUR)
    doing(world, slots.set_slot, MONDAY_NINE, by=COMMAND_LINE)
    assert tick(world) == []


def test_another_zone_moves_what_is_bound(world):
    ready(world)
    at(world, NINE - HOUR)
    (mailing_id,) = filled(world)
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(time_zone="Europe/Berlin"))
    filled(world)
    assert world.mailing(mailing_id).due_at == datetime(2026, 11, 30, 8, tzinfo=UTC)
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(time_zone="Pacific/Kiritimati"))
    assert tick(world) == []
    assert world.mailing(mailing_id).state is MailingState.cancelled


def test_skipped_weeks_stay_skipped_on_another_day(world):
    doing(world, slots.skip, SECOND, by=COMMAND_LINE)
    doing(world, slots.set_slot, SlotTime(4, time(9)), by=COMMAND_LINE)
    assert uses(world)[date(2026, 12, 11)] == (Use.skipped, None)
    assert doing(world, slots.clear_slot)
    assert not doing(world, slots.clear_slot)
    doing(world, slots.set_slot, SlotTime(0, time(9)), by=COMMAND_LINE)
    assert uses(world)[SECOND] == (Use.skipped, None)


def test_without_a_slot_nothing_is_bound_and_it_is_said(world):
    issue = ready(world)
    at(world, NINE - HOUR)
    filled(world)
    assert doing(world, slots.clear_slot)
    assert state(world, issue) is IssueState.ready
    assert filled(world) == []
    with pytest.raises(NotFound, match="slots set"):
        uses(world)
    with pytest.raises(NotFound, match="slots set"):
        doing(world, slots.skip, FIRST, by=COMMAND_LINE)


def test_a_machine_that_was_off_mails_what_is_not_too_late(world):
    ready(world)
    at(world, NINE + 6 * HOUR)
    (mailing_id,) = tick(world)
    mailing = world.mailing(mailing_id)
    assert (mailing.occurrence, mailing.due_at) == (FIRST, NINE)


@pytest.mark.parametrize("was_bound", [True, False])
def test_what_is_too_late_is_held_and_asks(world, was_bound):
    issue = ready(world)
    if was_bound:
        at(world, NINE - HOUR)
        filled(world)
    at(world, NINE + 9 * HOUR + timedelta(minutes=20))
    assert tick(world) == []
    (mailing,) = mailings(world)
    assert mailing.state is MailingState.held
    assert "9 h 20 min late" in mailing.state_reason
    assert f"mailing resume {mailing.id}" in mailing.state_reason
    assert "9 h 20 min late" in told(world, AlertKind.mailing_held)[0].facts["reason"]
    assert state(world, issue) is IssueState.scheduled
    with world.database.writing() as session:
        assert resume(session, mailing.id, live=False, now=world.clock()).state is MailingState.freezing
    assert state(world, issue) is IssueState.mailed


def test_an_issue_that_was_not_ready_in_time_is_not_mailed_late(world):
    at(world, NINE + HOUR)
    issue = ready(world)
    assert tick(world) == []
    assert uses(world, 1)[SECOND] == (Use.foreseen, issue)


def test_an_occurrence_of_long_ago_is_not_made_up_for(world):
    ready(world)
    at(world, NINE + 8 * DAY)
    tick(world)
    assert list(bound(world)) == [SECOND]


def test_what_was_scheduled_for_a_time_is_late_too_and_what_was_to_go_at_once_only_when_it_is_old(world):
    at_once = world.schedule(world.issue(source(1)))
    for_later = world.schedule(world.issue(source(2)))
    with world.database.writing() as session:
        session.get_one(Mailing, for_later).due_at = world.clock() + HOUR
    world.clock.forward(2 * 86400)
    assert tick(world) == [at_once]
    assert "1 d 23 h late" in world.mailing(for_later).state_reason
    too_old = world.schedule(world.issue(source(3)))
    world.clock.forward(2 * 86400 + 60)
    assert tick(world) == []
    assert "2 d 1 min late, and the policy stale_content_minutes is 2880" in world.mailing(too_old).state_reason


@pytest.mark.parametrize("stops", [cancel, withdraw_by_mailing, retract_by_mailing])
def test_what_is_stopped_at_its_time_lets_no_other_issue_leave_in_its_place(world, stops):
    ready(world, 1)
    at(world, NINE - HOUR)
    second = ready(world, 2)
    at(world, NINE + 7 * HOUR)
    assert tick(world) == []
    (late,) = mailings(world)
    assert late.state is MailingState.held
    with world.database.writing() as session:
        stops(session, late.id, by=COMMAND_LINE, now=world.clock())
    with world.database.writing() as session:
        unwind_next(session, late.id, now=world.clock())
    world.clock.forward(60)
    assert tick(world) == []
    assert uses(world)[SECOND] == (Use.foreseen, second)
    # A week that is moved to another day is still to come, and is taken.
    doing(world, slots.move_occurrence, FIRST, NINE + DAY, by=COMMAND_LINE)
    filled(world)
    assert bound(world)[FIRST] == second


def test_an_issue_that_was_ready_too_long_ago_is_held(world):
    with world.database.writing() as session:
        set_policy(session, world.publication.id, {"stale_days": None}, by=COMMAND_LINE, now=world.clock())
    for day in (FIRST, SECOND):
        doing(world, slots.skip, day, by=COMMAND_LINE)
    ready(world)
    at(world, NINE + 14 * DAY)
    assert tick(world) == []
    (mailing,) = mailings(world)
    assert mailing.state is MailingState.held
    assert "ready 21 d before" in mailing.state_reason


def test_a_held_mailing_whose_week_is_skipped_or_moved_goes_back_to_the_queue(world):
    issue = ready(world)
    at(world, NINE + 10 * HOUR)
    tick(world)
    doing(world, slots.move_occurrence, FIRST, NINE + DAY, by=COMMAND_LINE)
    assert state(world, issue) is IssueState.ready
    at(world, NINE + DAY)
    (mailing_id,) = tick(world)
    assert world.mailing(mailing_id).occurrence == FIRST


def test_an_empty_slot_is_told_once_in_time(world):
    at(world, NINE - DAY - timedelta(minutes=1))
    filled(world)
    assert told(world) == []
    for hours in (24, 20, 3, 1, 0):
        at(world, NINE - hours * HOUR)
        filled(world)
    (alert,) = told(world)
    assert alert.about == f"slot of {FIRST}"
    assert alert.facts["when"] == "Mon 2026-11-30 09:00 CST"
    assert alert.repeats == 0


def test_a_warning_can_be_switched_off(world):
    with world.database.writing() as session:
        set_policy(session, world.publication.id, {"warn_minutes": 0}, by=COMMAND_LINE, now=world.clock())
    at(world, NINE - HOUR)
    filled(world)
    assert told(world) == []


def test_what_cannot_be_mailed_any_more_is_told_each_hour_and_keeps_its_place(world):
    issue = ready(world)
    world.clock.forward(1)
    ready(world, 2)
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(postal_address=""))
    at(world, NINE - 2 * HOUR)
    for _ in range(4):
        assert filled(world) == []
        world.clock.forward(1200)
    assert [one.repeats for one in told(world)] == [0, 0]
    assert "no postal address" in told(world)[0].facts["reason"]
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(postal_address="某路 1 号"))
    at(world, NINE)
    tick(world)
    assert bound(world) == {FIRST: issue}


def test_the_next_free_date_can_be_taken_at_once(world):
    first, second = world.issue(source(1)), world.issue(source(2))
    doing(world, slots.skip, SECOND, by=COMMAND_LINE)
    with world.database.writing() as session:
        for issue in (first, second):
            terms = {"live": False, "by": COMMAND_LINE, "now": world.clock()}
            schedule_for_next_slot(session, issue, world.workshop, **terms)
        with pytest.raises(Refused, match="scheduled already"):
            schedule_for_next_slot(session, first, world.workshop, **terms)
    assert bound(world) == {FIRST: first, THIRD: second}


def test_a_retracted_issue_waits_for_nothing(world):
    issue = ready(world)
    at(world, NINE - HOUR)
    (mailing_id,) = filled(world)
    with world.database.writing() as session:
        assert retract(session, issue, by=COMMAND_LINE, now=world.clock())
        assert not retract(session, issue, by=COMMAND_LINE, now=world.clock())
    assert world.mailing(mailing_id).state is MailingState.cancelled
    at(world, NINE)
    assert tick(world) == []
    with world.database.writing() as session:
        put_back(session, issue)
    assert state(world, issue) is IssueState.draft


def test_each_side_of_not_live_has_its_own_slot(world):
    """A trial run uses up nothing of the real one, but the approval must be given again."""
    issue = ready(world)
    at(world, NINE)
    tick(world)
    real = world.having(live=True)
    assert state(world, issue) is IssueState.mailed
    assert state(real, issue) is IssueState.draft
    ready(real)
    at(real, NINE + 7 * DAY)
    assert len(tick(real)) == 1


def test_the_clock_does_all_of_it_and_one_broken_slot_stops_nothing_else(world):
    other = make_world(world.database, MemoryProvider(), "other")
    with world.database.writing() as session:
        slots.set_slot(session, other.publication, MONDAY_NINE, by=COMMAND_LINE, now=world.clock())
    ready(world)
    issue = other.issue(source(1))
    with world.database.writing() as session:
        approve(session, issue, other.workshop, live=False, by=COMMAND_LINE, now=world.clock())
        # A rule that this machine does not know, as an older version would find it.
        session.connection().exec_driver_sql("UPDATE publication SET time_zone = 'Mars/Olympus' WHERE code = 'weekly'")
    at(world, NINE)
    Clock(world.desk, world.terms, 1.0, lambda: None).fill_slots()
    assert [one.publication_id for one in mailings(world)] == [other.publication.id]
