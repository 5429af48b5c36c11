"""What comes in is heard whole: long ids, unknown addresses, faults of ours, and what is said of the account itself."""

from datetime import timedelta

import pytest

from newsletter.alerts import Alert, AlertKind
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.bodies import forget_addresses, purge
from newsletter.feedback.ingest import apply_again, apply_next, keep_call
from newsletter.feedback.models import DeliveryOutcome, EventCall, FeedbackEventRow
from newsletter.feedback.outcomes import Outcome
from newsletter.feedback.problems import problems_of, problems_of_late
from newsletter.migrations import migrate
from subscribers.bulk import table_of
from tests.feedback.said import as_body
from tests.feedback.test_feedback import HARD, Stumbling, mailed, outcome, reasons, rows


def shown(feedback):
    with feedback.world.database.reading() as session:
        return [(one["said"], one["problem"], one["text"]) for one in problems_of(session, 50)]


def told(feedback, kind):
    """Give what operators are told of one kind."""
    return [one for one in rows(feedback, Alert) if one.kind is kind]


def stumbled(feedback):
    """Let a hard bounce of trip@ fail by a fault of ours, and one of fine@ beside it not."""
    whose = mailed(feedback, "trip@example.com", "fine@example.com")
    world, now = feedback.world, feedback.world.clock()
    with world.database.writing() as session:
        keep_call(session, as_body([feedback.event(one, "bounce", now, **HARD) for one in whose.values()]), now=now)
    while apply_next(world.database, Scene(Stumbling(*world.hasher.peppers), PROVIDER, now)):
        pass
    assert (reasons(feedback, "trip@example.com"), reasons(feedback, "fine@example.com")) == ([], ["hard_bounce"])


def applied_again(feedback, call_id):
    with feedback.world.database.writing() as session:
        apply_again(session, call_id)
    feedback.apply()


def purged(feedback, days):
    with feedback.world.database.writing() as session:
        return purge(session, now=feedback.world.clock() + timedelta(days=days))


def test_events_whose_long_ids_begin_alike_are_all_heard_and_each_once(feedback):
    whose = mailed(feedback, "a@example.com", "b@example.com")
    now = feedback.world.clock()
    events = [
        feedback.event(whose[address], "bounce", now, **HARD) | {"sg_event_id": "x" * 125 + address}
        for address in ("a@example.com", "b@example.com")
    ]
    feedback.say(*events)
    feedback.say(*events)
    assert [reasons(feedback, one) for one in ("a@example.com", "b@example.com")] == [["hard_bounce"]] * 2
    assert len({row.event_id for row in rows(feedback, FeedbackEventRow)}) == 2


def test_an_event_about_nobody_of_ours_is_kept_counted_and_shown_and_routine_is_counted(feedback):
    stranger = {"email": "who@nowhere.example"}
    now = feedback.world.clock()
    feedback.say(feedback.event(stranger, "bounce", now, **HARD), feedback.event(stranger, "delivered", now))
    assert shown(feedback) == [("bounce", "it is about nobody of ours", HARD["reason"])]
    assert [call.problems for call in rows(feedback, EventCall)] == [2]
    with feedback.world.database.reading() as session:
        assert problems_of_late(session, now=now) == 2
        assert problems_of_late(session, now=now + timedelta(days=8)) == 0


def test_a_call_that_is_applied_again_is_counted_anew(feedback):
    mailed(feedback, "a@example.com")
    feedback.say({"event": "brand_new", "email": "a@example.com", "timestamp": 1763860000})
    applied_again(feedback, 1)
    (call,) = rows(feedback, EventCall)
    assert (call.events, call.problems, call.news) == (1, 1, 0)


def test_an_operator_hears_of_an_event_that_was_stepped_over_and_its_body_waits_for_them(feedback):
    stumbled(feedback)
    (alert,) = told(feedback, AlertKind.event_stepped_over)
    assert (alert.facts["call"], alert.facts["error"]) == ("1", "ValueError")
    assert purged(feedback, days=8) == 0
    applied_again(feedback, 1)
    assert reasons(feedback, "trip@example.com") == ["hard_bounce"]
    assert purged(feedback, days=6) == 0
    assert purged(feedback, days=8) == 1


def test_a_body_of_which_something_could_not_be_applied_is_not_kept_for_ever(feedback):
    stumbled(feedback)
    assert purged(feedback, days=29) == 0
    assert purged(feedback, days=31) == 1


def test_erasing_somebody_loses_no_event_of_others_that_could_not_be_applied(feedback):
    stumbled(feedback)
    with feedback.world.database.writing() as session:
        assert forget_addresses(session, ["fine@example.com"]) == 1
    assert b"fine@example.com" not in rows(feedback, EventCall)[0].body
    applied_again(feedback, 1)
    assert reasons(feedback, "trip@example.com") == ["hard_bounce"]


@pytest.mark.parametrize("written", ["a&b@example.com", "a\\u0026b@example.com", "A\\u0026B@example.com"])
def test_an_erased_address_is_found_however_json_has_it(feedback, written):
    with feedback.world.database.writing() as session:
        keep_call(session, f'[{{"email":"{written}"}}]'.encode(), now=feedback.world.clock())
        assert forget_addresses(session, ["a&b@example.com"]) == 1
    assert b"example" not in rows(feedback, EventCall)[0].body


def test_an_operator_hears_at_once_and_once_that_the_account_was_stopped(feedback):
    now = feedback.world.clock()
    stop = {"event": "account_status_change", "type": "compliance_suspend", "sg_event_id": "s"}
    feedback.say(stop | {"timestamp": int(now.timestamp())})
    feedback.world.clock.forward(86400)
    feedback.say(stop | {"timestamp": int(now.timestamp())})
    (alert,) = told(feedback, AlertKind.account_changed)
    assert (alert.about, alert.facts["change"]) == ("account: compliance_suspend", "compliance_suspend")
    assert shown(feedback) == [("account_status_change", "the account was changed", "compliance_suspend")]
    feedback.say(stop | {"type": "reactivate", "sg_event_id": "r", "timestamp": int(now.timestamp()) + 9})
    changes = [one.facts["change"] for one in told(feedback, AlertKind.account_changed)]
    assert changes == ["compliance_suspend", "reactivate"]


def test_being_put_off_leaves_its_first_time_on_the_delivery_and_no_row(feedback):
    whose = mailed(feedback, "slow@example.com")["slow@example.com"]
    now = feedback.world.clock()
    said = {"response": "450 4.2.1 later", "attempt": "2"}
    feedback.say(feedback.event(whose, "delivered", now + timedelta(hours=2)))
    feedback.say(*(feedback.event(whose, "deferred", now + timedelta(hours=hours), **said) for hours in (1, 0)))
    assert outcome(feedback, whose) is Outcome.delivered
    assert [row.deferred_at for row in rows(feedback, DeliveryOutcome)] == [now.replace(microsecond=0)]
    assert rows(feedback, FeedbackEventRow) == []


def test_what_an_older_store_knew_of_being_put_off_is_kept_as_its_first_time(feedback):
    whose = mailed(feedback, "slow@example.com", "fast@example.com")
    database, now = feedback.world.database, feedback.world.clock().replace(microsecond=0)
    feedback.say(*(feedback.event(one, "delivered", now) for one in whose.values()))
    slow, fast = (int(whose[address]["delivery"]) for address in ("slow@example.com", "fast@example.com"))
    empty = dict.fromkeys(("address_hash", "provider", "cause", "rule", "status", "text", "problem"), "")
    row = {**empty, "kind": "deferred", "said": "deferred", "received_at": now, "delivery_id": slow}
    with database.writing() as session:
        for hours in (2, 1):
            late = {"at": now + timedelta(hours=hours), "fingerprint": str(hours)}
            session.execute(table_of(FeedbackEventRow).insert(), row | late)
        for statement in (
            "ALTER TABLE delivery_outcome DROP COLUMN deferred_at",
            "DROP INDEX ix_consent_event_kind",
            "UPDATE alembic_version SET version_num = '0018'",
        ):
            session.connection().exec_driver_sql(statement)
    migrate(database)
    known = {one.delivery_id: one.deferred_at for one in rows(feedback, DeliveryOutcome)}
    assert known == {slow: now + timedelta(hours=1), fast: None}
    assert rows(feedback, FeedbackEventRow) == []
