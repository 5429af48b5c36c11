"""The kinds of notices: whom each may still reach when it leaves, where its link leads, and how long that works. Pure.

Asked by ``addressing`` at the last look, and by ``links`` when a mail is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from newsletter.outbox import NoticeKind
from newsletter.signing import Purpose
from subscribers.models import SubscriptionState, SuppressionReason
from subscribers.opt_in import READER_CAN_LIFT


_CONFIRMED = frozenset({SubscriptionState.confirmed})


@dataclass(frozen=True)
class Rule:
    """What holds for one kind.

    Attributes:
        states: The states of a subscription in which it is still true; none are named where the state says nothing.
        passes: The reasons of suppression that do not stop it: those that its own link lets the reader lift.
        purpose: What its link is signed for; without one the link works for ever.
        is_list_mail: It belongs to a running subscription, and so carries the way out (RFC 8058).
    """

    states: frozenset[SubscriptionState] = frozenset()
    passes: frozenset[SuppressionReason] = frozenset()
    purpose: Purpose | None = None
    is_list_mail: bool = False


RULES: Mapping[NoticeKind, Rule] = {
    NoticeKind.confirm: Rule(passes=READER_CAN_LIFT, purpose=Purpose.confirm),
    NoticeKind.already_subscribed: Rule(states=_CONFIRMED, passes=READER_CAN_LIFT),
    NoticeKind.welcome: Rule(states=_CONFIRMED, is_list_mail=True),
    NoticeKind.goodbye: Rule(states=frozenset({SubscriptionState.left})),
    NoticeKind.sign_in: Rule(states=_CONFIRMED, purpose=Purpose.sign_in),
    NoticeKind.read_again: Rule(states=_CONFIRMED, purpose=Purpose.read),
    NoticeKind.confirm_address: Rule(passes=READER_CAN_LIFT, purpose=Purpose.change_address),
    # Whoever lost an address to somebody else must hear of it, also after that one has left.
    NoticeKind.address_changed: Rule(passes=frozenset({SuppressionReason.moved}), purpose=Purpose.take_back),
    NoticeKind.renewal: Rule(states=_CONFIRMED, is_list_mail=True),
    NoticeKind.plan_changed: Rule(states=_CONFIRMED, is_list_mail=True),
}
