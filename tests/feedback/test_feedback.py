"""From a signed event to its consequence: outcomes, suppressions, departures, surges, and taking things back."""

from datetime import timedelta

import pytest
from sqlmodel import select

from newsletter.delivery.lifecycle import BatchState
from newsletter.errors import Refused
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.consequences import Limits
from newsletter.feedback.ingest import apply_again, apply_next, keep_call
from newsletter.feedback.models import (
    Consequence,
    ConsequenceState,
    DeliveryOutcome,
    EventCall,
    FeedbackEventRow,
    FeedbackPolicy,
    Surge,
    SurgeDecision,
)
from newsletter.feedback.outcomes import Outcome
from newsletter.feedback.surges import decide_surge
from newsletter.feedback.undoing import Choice, begin_probes, list_consequences, undo
from newsletter.providers.base import CallEnd, Ending
from subscribers.actors import CLOCK, COMMAND_LINE
from subscribers.hashing import AddressHasher
from subscribers.models import SubscriptionState, SuppressionReason
from subscribers.roster import find_by_address
from subscribers.suppression import SuppressionOrder, add, reasons_against
from tests.feedback.said import as_body


HARD = {"status": "5.1.1", "type": "bounce", "reason": "550 5.1.1 no such mailbox"}
SOFT = {"status": "4.2.2", "type": "blocked", "reason": "452 4.2.2 over quota"}
CLOSED = {"type": "bounce", "bounce_classification": "Mailbox Unavailable", "reason": "550 not here"}


def outcome(feedback, whose):
    with feedback.world.database.reading() as session:
        row = session.get(DeliveryOutcome, int(whose["delivery"]))
        return Outcome(row.outcome) if row else None


def reasons(feedback, address):
    world = feedback.world
    with world.database.reading() as session:
        found = reasons_against(session, world.publication.id, address, hasher=world.hasher)
    return [str(one) for one in found]


def state_of(feedback, address):
    with feedback.world.database.reading() as session:
        return find_by_address(session, feedback.world.publication.id, address).state


def rows(feedback, model):
    with feedback.world.database.reading() as session:
        return list(session.exec(select(model).order_by(*model.__table__.primary_key.columns)))


def mailed(feedback, *people):
    """Mail one more issue and say what its events carry."""
    if people:
        feedback.world.readers(list(people))
    return feedback.of(feedback.mail())


def test_what_became_of_a_delivery_only_moves_up(feedback):
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    now = feedback.world.clock()
    for event, more, expected in (
        ("delivered", {}, Outcome.delivered),
        ("processed", {}, Outcome.delivered),
        ("deferred", {"attempt": "5", "response": "try later"}, Outcome.delivered),
        ("bounce", SOFT, Outcome.soft),
        ("delivered", {}, Outcome.soft),
    ):
        feedback.say(feedback.event(whose, event, now, **more))
        assert outcome(feedback, whose) is expected


def test_a_hard_bounce_suppresses_the_address_everywhere_and_names_its_event(feedback):
    whose = mailed(feedback, "gone@example.com", "here@example.com")["gone@example.com"]
    feedback.say(feedback.event(whose, "bounce", feedback.world.clock(), **HARD))
    assert reasons(feedback, "gone@example.com") == ["hard_bounce"]
    assert reasons(feedback, "here@example.com") == []
    with feedback.world.database.reading() as session:
        (one,) = list_consequences(session, Choice())
    assert (one.said, one.status, one.rule) == ("bounce", "5.1.1", r"status 5\.1\.([0-36]|10)")
    assert "gone@" not in str(one)


def test_our_own_faults_are_held_against_nobody(feedback):
    whose = mailed(feedback, "a@qq.com")["a@qq.com"]
    said = {"reason": "550 Mailbox unavailable or access denied", "bounce_classification": "Invalid Address"}
    feedback.say(feedback.event(whose, "bounce", feedback.world.clock(), type="bounce", **said))
    assert outcome(feedback, whose) is Outcome.blocked
    assert reasons(feedback, "a@qq.com") == []


def test_a_complaint_ends_everything_at_once_and_undoing_it_restores_the_subscription(feedback):
    whose = mailed(feedback, "angry@example.com")["angry@example.com"]
    feedback.say(feedback.event(whose, "spamreport", feedback.world.clock()))
    assert reasons(feedback, "angry@example.com") == ["complaint"]
    assert state_of(feedback, "angry@example.com") is SubscriptionState.left
    with feedback.world.database.writing() as session:
        assert undo(session, Choice(), feedback.scene) == 2
    assert reasons(feedback, "angry@example.com") == []
    assert state_of(feedback, "angry@example.com") is SubscriptionState.confirmed


def test_leaving_a_group_at_sendgrid_is_leaving_and_coming_back_to_it_takes_nobody_back(feedback):
    whose = mailed(feedback, "leaver@example.com")["leaver@example.com"]
    feedback.say(feedback.event(whose, "group_unsubscribe", feedback.world.clock(), asm_group_id=1))
    assert state_of(feedback, "leaver@example.com") is SubscriptionState.left
    feedback.say(feedback.event(whose, "group_resubscribe", feedback.world.clock(), asm_group_id=1))
    assert state_of(feedback, "leaver@example.com") is SubscriptionState.left


def test_an_unsubscribe_event_leaves_but_not_what_its_reader_came_back_to_since(feedback):
    whose = mailed(feedback, "leaver@example.com", "back@example.com")
    now = feedback.world.clock()
    feedback.say(feedback.event(whose["leaver@example.com"], "unsubscribe", now))
    # An event of before the reader confirmed once more.
    feedback.say(feedback.event(whose["back@example.com"], "unsubscribe", now - timedelta(days=1)))
    assert state_of(feedback, "leaver@example.com") is SubscriptionState.left
    assert state_of(feedback, "back@example.com") is SubscriptionState.confirmed


def test_a_closed_mailbox_is_given_up_after_two_issues(feedback):
    for expected in ([], ["hard_bounce"]):
        whose = mailed(feedback, "closed@example.com")["closed@example.com"]
        feedback.say(feedback.event(whose, "bounce", feedback.world.clock(), **CLOSED))
        assert reasons(feedback, "closed@example.com") == expected


def test_four_soft_bounces_in_a_row_pause_and_a_failed_probe_ends_it(feedback):
    world = feedback.world
    world.readers(["full@example.com", "other@example.com"])
    for number in range(4):
        assert reasons(feedback, "full@example.com") == []
        whose = mailed(feedback)["full@example.com"]
        for _ in range(3):
            feedback.say(feedback.event(whose, "bounce", world.clock() + timedelta(seconds=number), **SOFT))
    assert reasons(feedback, "full@example.com") == ["soft_bounces"]
    assert "full@example.com" not in mailed(feedback)
    world.clock.forward(29 * 86400)
    with world.database.writing() as session:
        assert begin_probes(session, by=CLOCK, now=world.clock()) == 0
    world.clock.forward(1 * 86400)
    with world.database.writing() as session:
        assert begin_probes(session, by=CLOCK, now=world.clock()) == 1
    whose = mailed(feedback)["full@example.com"]
    feedback.say(feedback.event(whose, "bounce", world.clock(), **SOFT))
    assert reasons(feedback, "full@example.com") == ["soft_bounces"]
    world.clock.forward(400 * 86400)
    with world.database.writing() as session:
        assert begin_probes(session, by=CLOCK, now=world.clock()) == 0


def test_a_delivery_that_is_told_late_takes_a_pause_back(feedback):
    world = feedback.world
    world.readers(["full@example.com"])
    mails = [mailed(feedback)["full@example.com"] for _ in range(4)]
    extra = mailed(feedback)["full@example.com"]
    for whose in (*mails[:2], mails[3], extra):
        feedback.say(feedback.event(whose, "bounce", world.clock(), **SOFT))
    assert reasons(feedback, "full@example.com") == ["soft_bounces"]
    feedback.say(feedback.event(mails[2], "delivered", world.clock()))
    assert reasons(feedback, "full@example.com") == []
    assert rows(feedback, Consequence) == []


def test_dropped_mails_bring_us_level_with_the_provider_and_can_be_mailed_again(feedback):
    whose = mailed(feedback, "a@example.com", "b@example.com", "c@example.com")
    now = feedback.world.clock()
    feedback.say(
        feedback.event(whose["a@example.com"], "dropped", now, reason="Bounced Address"),
        feedback.event(whose["b@example.com"], "dropped", now, reason="spam reporting address"),
        feedback.event(whose["c@example.com"], "dropped", now, reason="Spam Content"),
    )
    assert reasons(feedback, "a@example.com") == ["hard_bounce"]
    assert reasons(feedback, "b@example.com") == ["complaint"]
    assert reasons(feedback, "c@example.com") == []
    assert outcome(feedback, whose["c@example.com"]) is Outcome.dropped


def test_an_asynchronous_bounce_without_ids_counts_for_the_issue_before_it(feedback):
    whose = mailed(feedback, "Late@Example.com")["Late@example.com"]
    at = feedback.world.clock() + timedelta(hours=3)
    feedback.say(feedback.event(whose, "delivered", feedback.world.clock()))
    plain = {"email": "late@example.com", "sg_message_id": ""}
    said = {**HARD, "reason": "550 5.1.10 RESOLVER.ADR.RecipientNotFound; <late@example.com>: late not found"}
    feedback.say(feedback.event(plain, "bounce", at, **said))
    assert outcome(feedback, whose) is Outcome.hard
    assert reasons(feedback, "Late@Example.com") == ["hard_bounce"]
    (event,) = rows(feedback, FeedbackEventRow)
    assert event.text == "550 5.1.10 RESOLVER.ADR.RecipientNotFound; <…@example.com>: … not found"


def test_an_event_of_another_installation_on_the_same_account_touches_no_delivery_of_ours(feedback):
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    foreign = {**whose, "attempt_id": "another-installation-s", "sg_message_id": "x.y", "email": "else@example.com"}
    feedback.say(feedback.event(foreign, "delivered", feedback.world.clock()))
    feedback.say(feedback.event(foreign, "bounce", feedback.world.clock(), **HARD))
    assert outcome(feedback, whose) is None
    (event,) = rows(feedback, FeedbackEventRow)
    assert (event.delivery_id, event.subscriber_id) == (None, None)


def test_an_event_proves_a_request_whose_outcome_nobody_knew(feedback):
    world = feedback.world
    world.readers(["a@example.com", "b@example.com"])
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(Ending.ambiguous, detail="no answer"))
    world.dispatch()
    assert world.states(mailing_id) == {BatchState.unknown: 1}
    whose = feedback.of(mailing_id)["a@example.com"]
    feedback.say(feedback.event(whose, "processed", world.clock()))
    assert world.states(mailing_id) == {BatchState.accepted: 1}
    assert world.account(mailing_id).standing.accepted == 2
    assert world.mailing(mailing_id).state == "finished"


def test_whatever_a_call_holds_the_rest_of_it_is_heard(feedback):
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    now = feedback.world.clock()
    odd: list[object] = [
        7,
        None,
        [],
        {},
        {"event": 5, "timestamp": "soon", "email": ["x"]},
        {"event": "brand_new", "timestamp": 1e400, "email": "a@example.com"},
        {"event": "bounce", "timestamp": -5, "email": "nobody at all", "reason": 9, "status": 511, "type": None},
        {"event": "account_status_change", "timestamp": int(now.timestamp()), "type": "compliance_suspend"},
        {"event": "bounce", "email": "\ud800@example.com", "reason": "nul \0 byte", "timestamp": int(now.timestamp())},
    ]
    feedback.say(*odd, feedback.event(whose, "delivered", now))
    assert outcome(feedback, whose) is Outcome.delivered
    (call,) = rows(feedback, EventCall)
    assert (call.events, call.cursor, call.problem) == (10, 10, "")
    assert call.problems == 9
    assert len(rows(feedback, FeedbackEventRow)) >= 8


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"\xff\xfe[", b"[" * 2000 + b"]" * 2000, b'"events"'])
def test_a_genuine_call_that_is_no_array_is_kept_and_told(feedback, body):
    with feedback.world.database.writing() as session:
        keep_call(session, body, now=feedback.world.clock())
    feedback.apply()
    (call,) = rows(feedback, EventCall)
    assert call.applied_at is not None
    assert call.problem


class Stumbling(AddressHasher):
    """A hasher with a fault: it stumbles over one address."""

    def hash(self, address_key: str) -> str:
        """Hash, or stumble."""
        if address_key.startswith("trip"):
            raise ValueError("a fault of ours")
        return super().hash(address_key)


def test_a_call_that_cannot_be_applied_is_set_aside_and_the_rest_goes_on(feedback):
    whose = mailed(feedback, "trip@example.com", "fine@example.com")
    world, now = feedback.world, feedback.world.clock()
    with world.database.writing() as session:
        for address in ("trip@example.com", "fine@example.com"):
            keep_call(session, as_body([feedback.event(whose[address], "bounce", now, **HARD)]), now=now)
    faulty = Scene(Stumbling(*world.hasher.peppers), PROVIDER, now)
    while apply_next(world.database, faulty):
        pass
    first, second = rows(feedback, EventCall)
    assert ("event 1 could not be applied (ValueError)" in first.problem, second.problem) == (True, "")
    assert reasons(feedback, "fine@example.com") == ["hard_bounce"]
    assert reasons(feedback, "trip@example.com") == []
    with world.database.writing() as session:
        apply_again(session, first.id)
    feedback.apply()
    assert reasons(feedback, "trip@example.com") == ["hard_bounce"]


def surge_limits(feedback, **changes):
    limits = vars(Limits(surge_bounces=3, surge_share=0.05)) | changes
    with feedback.world.database.writing() as session:
        session.add(FeedbackPolicy(publication_id=feedback.world.publication.id, **limits))


def surged(feedback):
    """Let a third of one provider's readers bounce, and one of another's."""
    surge_limits(feedback)
    people = [f"r{number}@163.com" for number in range(12)]
    whose = mailed(feedback, *people, "x@gmail.com")
    bouncing = [*people[:4], "x@gmail.com"]
    now = feedback.world.clock()
    for address in bouncing:
        feedback.say(feedback.event(whose[address], "bounce", now, **HARD))
    return bouncing


def test_a_surge_at_one_provider_quarantines_its_consequences_only(feedback):
    bouncing = surged(feedback)
    assert [reasons(feedback, one) for one in bouncing] == [[], [], [], [], ["hard_bounce"]]
    (surge,) = rows(feedback, Surge)
    assert (surge.provider, surge.bounced, surge.accepted, surge.decision) == ("netease", 3, 12, None)
    states = [row.state for row in rows(feedback, Consequence)]
    assert states.count(ConsequenceState.quarantined) == 4


@pytest.mark.parametrize(
    ("decision", "expected"), [(SurgeDecision.confirmed, ["hard_bounce"]), (SurgeDecision.dismissed, [])]
)
def test_the_operator_decides_a_surge_once_and_for_what_comes_later(feedback, decision, expected):
    bouncing = surged(feedback)
    mailing_id = rows(feedback, Surge)[0].mailing_id
    with feedback.world.database.writing() as session:
        assert decide_surge(session, mailing_id, "netease", decision, feedback.scene) == 4
    assert [reasons(feedback, one) for one in bouncing] == [expected] * 4 + [["hard_bounce"]]
    later = feedback.of(mailing_id)["r5@163.com"]
    feedback.say(feedback.event(later, "bounce", feedback.world.clock(), **HARD))
    assert reasons(feedback, "r5@163.com") == expected
    other = next(one for one in SurgeDecision if one is not decision)
    with feedback.world.database.writing() as session, pytest.raises(Refused, match=decision):
        decide_surge(session, mailing_id, "netease", other, feedback.scene)


def test_undoing_many_by_their_text_restores_exactly_and_no_echo_brings_it_back(feedback):
    world = feedback.world
    people = [f"r{number}@example.com" for number in range(6)]
    whose = mailed(feedback, *people)
    now = world.clock()
    strange = {"status": "5.1.1", "type": "bounce", "reason": "550 5.1.1 service 100% misbehaving"}
    for address in people[:4]:
        feedback.say(feedback.event(whose[address], "bounce", now, **strange))
    feedback.say(feedback.event(whose[people[4]], "bounce", now, **HARD))
    with world.database.writing() as session:
        assert undo(session, Choice(text="100% MISBEHAVING"), feedback.scene) == 4
        assert undo(session, Choice(text="100% MISBEHAVING"), feedback.scene) == 0
    assert [reasons(feedback, one) for one in people] == [[], [], [], [], ["hard_bounce"], []]
    # The same once more, under a fresh id, and as the drop it had led to.
    feedback.say(feedback.event(whose[people[0]], "bounce", now, **strange))
    feedback.say(feedback.event(whose[people[1]], "dropped", now, reason="Bounced Address"))
    assert reasons(feedback, people[0]) == []
    assert reasons(feedback, people[1]) == []
    # What happens later is news.
    world.clock.forward(7 * 86400)
    again = mailed(feedback)[people[0]]
    feedback.say(feedback.event(again, "bounce", world.clock(), **HARD))
    assert reasons(feedback, people[0]) == ["hard_bounce"]


def test_a_suppression_from_another_hand_outlives_the_undoing(feedback):
    world = feedback.world
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    order = SuppressionOrder("a@example.com", SuppressionReason.hard_bounce, origin="imported")
    with world.database.writing() as session:
        add(session, order, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())
    feedback.say(feedback.event(whose, "bounce", world.clock(), **HARD))
    with world.database.writing() as session:
        assert undo(session, Choice(), feedback.scene) == 1
    assert reasons(feedback, "a@example.com") == ["hard_bounce"]
