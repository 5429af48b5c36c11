"""A rehearsal that did not go as a mailing must says so, and what went wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from newsletter.delivery.accounts import Account
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.progress import Standing
from newsletter.rehearsal.outcome import Ledger, Outcome, Traffic
from newsletter.rehearsal.pace import Pace


BEGINS = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
LEDGER = Ledger(
    state=MailingState.finished,
    reason="",
    account=Account(5, {"paused": 2}, Standing(3, accepted=3)),
    plans=(),
    lanes=(),
    accepted=frozenset({1, 2, 3}),
    freezing_seconds=60.0,
    dispatching_seconds=2.0,
)
GOOD = Outcome(
    copied=5,
    copying_seconds=1.0,
    ledger=LEDGER,
    traffic=Traffic(1, 5000, 5000, {1: 1, 2: 1, 3: 1}),
    pace=Pace(540.0, "recipients_per_second", 3, 0),
    findings=(),
    begins=BEGINS,
)


def test_what_was_computed_and_not_rehearsed_is_told_as_such():
    assert GOOD.told()["by_policy"]["computed"] is True


def seen(**times: int) -> Traffic:
    return Traffic(1, 5000, 5000, {int(name[1:]): count for name, count in times.items()})


def test_a_good_one_has_nothing_to_say_and_tells_when_it_ends():
    assert GOOD.went_wrong() == ()
    assert GOOD.recipients_per_second == 1.5
    assert GOOD.finishes == BEGINS + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (replace(GOOD, traffic=seen(_1=1, _2=1)), "1 that were accepted are not"),
        (replace(GOOD, traffic=seen(_1=1, _2=1, _3=1, _4=1)), "1 on the local SendGrid's record were not accepted"),
        (replace(GOOD, traffic=seen(_1=1, _2=2, _3=1)), "1 got it more than once"),
        (replace(GOOD, copied=6), "6 were copied, but 5 were candidates"),
        (replace(GOOD, ledger=replace(LEDGER, state=MailingState.halted, reason="no")), "it ended halted: no"),
        (
            replace(GOOD, ledger=replace(LEDGER, account=Account(5, {}, Standing(3, accepted=3)))),
            "the account does not balance",
        ),
        (
            replace(
                GOOD, ledger=replace(LEDGER, account=Account(5, {"paused": 2}, Standing(3, accepted=2, unknown=1)))
            ),
            "1 are unknown",
        ),
    ],
)
def test_what_must_not_be_is_said(wrong, says):
    assert any(says in sentence for sentence in wrong.went_wrong())
    assert wrong.told()["went_wrong"] == list(wrong.went_wrong())
