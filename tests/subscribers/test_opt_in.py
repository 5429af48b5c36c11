"""Double opt-in: who asks changes nothing, who confirms does, once; and nobody learns who is known."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from subscribers import suppression
from subscribers.actors import CLOCK, COMMAND_LINE, READER
from subscribers.addresses import parse_address
from subscribers.audience import candidates
from subscribers.consent import Evidence, consent_of
from subscribers.consent_models import ConsentEvidence, OptIn
from subscribers.consent_texts import ShownText, keep_text, texts_of
from subscribers.errors import RefusedPlan
from subscribers.lapsing import PENDING_FOR, lapse
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import Subscriber, Subscription, SubscriptionState, SuppressionReason
from subscribers.opt_in import READER_CAN_LIFT, Answer, Asked, Asking, Click, FormProof, SignUp, confirm, sign_up
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import find_subscription
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder, reasons_against
from tests.people import complain


ANNA = "Anna@Example.com"


@pytest.fixture
def ask(session, hasher, now):
    def _ask(address=ANNA, *, publication=1, at=now, **more):
        proof = FormProof("https://news.example.com/", None, "weekly", Evidence(address, ip="192.0.2.0"))
        request = SignUp(publication, parse_address(address), proof, **more)
        return sign_up(session, request, hasher=hasher, by=READER, now=at)

    return _ask


@pytest.fixture
def click(session, hasher, now):
    def _click(asked: Asked, at=now):
        assert asked.opt_in_id is not None
        return confirm(session, Click(asked.opt_in_id, Evidence(ip="192.0.2.9")), hasher=hasher, by=READER, now=at)

    return _click


@pytest.fixture
def go(session, now):
    def _go(asked: Asked, channel=LeavingChannel.page):
        view = find_subscription(session, asked.subscription_id or 0)
        return leave(session, view.unsubscribe_id, channel=channel, by=READER, now=now)

    return _go


def state_of(session, asked):
    return find_subscription(session, asked.subscription_id).state


def excluded(session, now):
    return [row.exclusion for row in session.execute(candidates(1, now=now))]


def test_a_stranger_asks_and_confirms_and_the_ledger_proves_both(session, ask, click, now):
    asked = ask(name="Anna", locale="en")
    assert (asked.asking, excluded(session, now)) == (Asking.confirm, ["pending"])
    confirmation = click(asked, at=now + timedelta(hours=1))
    assert (confirmation.answer, confirmation.subscription.state) == (Answer.confirmed, SubscriptionState.confirmed)
    assert excluded(session, now) == [None]
    first, second = consent_of(session, asked.subscription_id)
    assert (first.kind, first.source, first.by) == ("asked", "https://news.example.com/", "reader")
    assert (second.kind, second.source, second.detail["from"]) == ("confirmed", "confirm link", "pending")
    evidence = session.exec(select(ConsentEvidence).order_by(col(ConsentEvidence.event_id))).all()
    assert [(one.address_typed, one.ip) for one in evidence] == [(ANNA, "192.0.2.0"), ("", "192.0.2.9")]


def test_confirming_twice_is_fine_and_recorded_once(session, ask, click):
    asked = ask()
    assert [click(asked).answer for _ in range(3)] == [Answer.confirmed, Answer.already, Answer.already]
    assert [event.kind for event in consent_of(session, asked.subscription_id)] == ["asked", "confirmed"]


def test_asking_again_while_waiting_keeps_one_request_whose_links_all_work(session, ask, click):
    first, second = ask(), ask("anna@example.com")
    assert (first.opt_in_id, first.subscription_id) == (second.opt_in_id, second.subscription_id)
    assert click(first).answer is Answer.confirmed
    assert len(session.exec(select(Subscriber)).all()) == 1


def test_who_reads_already_is_told_so_by_mail_and_nothing_changes(session, ask, click):
    click(ask())
    before = session.exec(select(Subscription)).one().model_dump()
    assert ask().asking is Asking.already
    assert session.exec(select(Subscription)).one().model_dump() == before


def test_who_left_stays_out_until_the_click(session, ask, click, go):
    asked = ask()
    click(asked)
    go(asked)
    again = ask()
    assert (again.asking, state_of(session, again)) == (Asking.confirm, SubscriptionState.left)
    assert again.opt_in_id != asked.opt_in_id
    assert click(again).answer is Answer.confirmed
    assert state_of(session, again) is SubscriptionState.confirmed


def test_a_link_of_before_leaving_brings_nobody_back(session, ask, click, go):
    asked = ask()
    click(asked)
    go(asked)
    assert click(asked).answer is Answer.ended
    again = ask()
    go(again)
    assert click(again).answer is Answer.ended
    assert state_of(session, asked) is SubscriptionState.left


def test_who_asked_and_left_before_confirming_has_left(session, ask, click, go):
    asked = ask()
    go(asked)
    assert click(asked).answer is Answer.ended
    assert state_of(session, asked) is SubscriptionState.left


@pytest.mark.parametrize(
    "reason", [one for one in SuppressionReason if one not in {"unsubscribed", "erased", "soft_bounces", "moved"}]
)
def test_what_a_reader_cannot_lift_is_answered_with_silence(session, ask, hasher, now, reason):
    suppression.add(session, SuppressionOrder(ANNA, reason), hasher=hasher, by=COMMAND_LINE, now=now)
    assert ask() == Asked(Asking.silent)
    assert session.exec(select(Subscriber)).all() == []


@pytest.mark.parametrize("reason", sorted(READER_CAN_LIFT))
@pytest.mark.parametrize("scope", [None, 1])
def test_a_readers_own_wishes_are_lifted_by_the_click_and_not_by_asking(
    session, ask, click, hasher, now, reason, scope
):
    order = SuppressionOrder(ANNA, reason, scope)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    asked = ask()
    assert reasons_against(session, 1, ANNA, hasher=hasher) == (reason,)
    assert click(asked).answer is Answer.confirmed
    assert reasons_against(session, 1, ANNA, hasher=hasher) == ()
    assert excluded(session, now) == [None]


def test_a_suppression_of_another_publication_is_not_lifted(session, ask, click, hasher, now):
    order = SuppressionOrder(ANNA, SuppressionReason.unsubscribed, 2)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    click(ask())
    assert reasons_against(session, 2, ANNA, hasher=hasher) == ("unsubscribed",)


def test_a_complaint_after_asking_stops_the_click(session, ask, click, hasher, now):
    asked = ask()
    complain(session, asked.subscription_id, hasher=hasher, by=COMMAND_LINE, now=now)
    assert click(asked).answer is Answer.ended
    assert ask().asking is Asking.silent


def test_a_hard_bounce_of_the_confirm_mail_stops_the_click(session, ask, click, hasher, now):
    asked = ask()
    order = SuppressionOrder(ANNA, SuppressionReason.hard_bounce)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    assert click(asked).answer is Answer.suppressed
    assert state_of(session, asked) is SubscriptionState.pending


def test_plans_by_invitation_cannot_be_taken(session, ask):
    with pytest.raises(RefusedPlan, match="invitation"):
        ask(plan="pro")


def test_a_plan_that_was_bought_is_still_there_after_leaving_and_coming_back(session, ask, click, go, now):
    asked = ask()
    click(asked)
    change_plan(session, asked.subscription_id, PlanChange("pro"), by=COMMAND_LINE, now=now)
    go(asked)
    assert click(ask()).subscription.plan == "pro"


def test_nobody_is_asked_about_a_publication_for_another(session, ask, click):
    first, second = ask(), ask(publication=2)
    click(first)
    assert state_of(session, second) is SubscriptionState.pending


def test_a_click_for_nothing_changes_nothing(session, hasher, now):
    assert confirm(session, Click(12345), hasher=hasher, by=READER, now=now).answer is Answer.ended


def test_who_never_confirms_is_forgotten_after_thirty_days(session, ask, click, now):
    asked = ask()
    assert lapse(session, by=CLOCK, now=now + PENDING_FOR - timedelta(seconds=1)) == 0
    assert lapse(session, by=CLOCK, now=now + PENDING_FOR) == 1
    session.expire_all()
    person = session.exec(select(Subscriber)).one()
    assert (person.email, person.address_typed, person.address_key, person.name) == (None, None, None, "")
    assert [one.address_typed for one in session.exec(select(ConsentEvidence))] == [""]
    assert [event.kind for event in consent_of(session, asked.subscription_id)] == ["asked", "lapsed"]
    assert click(asked).answer is Answer.ended
    assert lapse(session, by=CLOCK, now=now + 2 * PENDING_FOR) == 0


def test_who_was_forgotten_may_ask_as_a_stranger(session, ask, click, now):
    ask()
    lapse(session, by=CLOCK, now=now + PENDING_FOR)
    assert click(ask(at=now + PENDING_FOR)).answer is Answer.confirmed


def test_asking_anew_begins_the_thirty_days_anew(session, ask, now):
    ask()
    ask(at=now + timedelta(days=20))
    assert lapse(session, by=CLOCK, now=now + PENDING_FOR) == 0


def test_a_reader_of_another_publication_is_not_forgotten_with_the_lapsed_one(session, ask, click, hasher, now):
    other, _ = subscribe(session, NewSubscription(2, ANNA), hasher=hasher, by=COMMAND_LINE, now=now)
    asked = ask()
    lapse(session, by=CLOCK, now=now + PENDING_FOR)
    session.expire_all()
    assert state_of(session, asked) is SubscriptionState.lapsed
    assert find_subscription(session, other.id).email == "Anna@example.com"
    again = ask(at=now + PENDING_FOR)
    assert state_of(session, again) is SubscriptionState.pending
    assert click(again).answer is Answer.confirmed


def test_a_request_to_come_back_that_waited_too_long_is_closed(session, ask, click, go, now):
    asked = ask()
    click(asked)
    go(asked)
    again = ask()
    lapse(session, by=CLOCK, now=now + PENDING_FOR)
    session.expire_all()
    assert click(again).answer is Answer.ended
    assert session.get(OptIn, asked.opt_in_id).confirmed_at is not None


def test_words_are_kept_once_and_each_change_is_a_version(session, now):
    words = ShownText("en", "I agree.", "https://n.example.com/privacy", "1")
    first = keep_text(session, 1, words, now=now)
    assert keep_text(session, 1, words, now=now) == first
    other = keep_text(session, 1, ShownText("en", "I agree.", "https://n.example.com/privacy", "2"), now=now)
    keep_text(session, 1, ShownText("zh-CN", "我同意。"), now=now)
    keep_text(session, 2, words, now=now)
    assert [(one.locale, one.version) for one in texts_of(session, 1)] == [("en", 1), ("en", 2), ("zh-CN", 1)]
    assert other != first
