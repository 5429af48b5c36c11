"""Addressing: to whom a notice goes, and whether it still may; read when its mail is built and again as it leaves.

The one gate in front of every mail (``subscribers.suppression``) stands here for notices, as ``delivery.requests``
has it for issues. What is found is compared at the last look: a mail that was built on something else does not leave.
"""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from newsletter.notices.kinds import RULES
from newsletter.outbox import CONFIRMING, Notice, NoticeKind
from subscribers.consent_models import ConsentEvidence, OptIn
from subscribers.errors import InvalidAddress
from subscribers.hashing import AddressHasher
from subscribers.models import Subscription
from subscribers.roster import SubscriptionView, find_subscription
from subscribers.suppression import reasons_against


@dataclass(frozen=True)
class Gate:
    """What decides beside the reader whether a notice may leave: the pepper, and an installation's allow-list."""

    hasher: AddressHasher
    allow_list: tuple[str, ...] = ()

    def lets(self, address: str) -> bool:
        """Tell whether this installation may mail an address at all; without a list it may mail everybody."""
        lowered = address.lower()
        return not self.allow_list or bool({lowered, f"@{lowered.rpartition('@')[2]}"} & set(self.allow_list))


@dataclass(frozen=True)
class Addressee:
    """Who gets a notice.

    Attributes:
        address: Where it goes; empty where that is nowhere.
        exclusion: Why it must not leave; empty where it may.
    """

    reader: SubscriptionView
    address: str
    exclusion: str


def addressee_of(session: Session, notice: Notice, gate: Gate) -> Addressee:
    """Find to whom a notice goes now, and whether it may.

    Raises:
        UnknownSubscriber: Its subscription does not exist.
        OtherPepper: The store was hashed with another pepper.
    """
    reader = find_subscription(session, notice.subscription_id)
    address = address_of(session, notice, reader)
    return Addressee(reader, address, _exclusion(session, notice, reader, address, gate))


def address_of(session: Session, notice: Notice, reader: SubscriptionView) -> str:
    """Give the address that a notice goes to: the reader's, the one asked for, the one before; none after erasure."""
    if not reader.email:
        return ""
    match notice.kind:
        case NoticeKind.confirm_address:
            asked_for = select(OptIn.new_address).where(OptIn.id == notice.opt_in_id)
            return session.exec(asked_for).first() or ""
        case NoticeKind.address_changed:
            event_id = int(notice.detail["event_id"])
            before = select(ConsentEvidence.address_before).where(ConsentEvidence.event_id == event_id)
            return session.exec(before).first() or ""
        case _:
            return reader.email


def lock_reader(session: Session, notice: Notice) -> None:
    """Let who leaves at this very moment wait until ``sending`` is committed, or be seen to have left."""
    mine = col(Subscription.id) == notice.subscription_id
    session.exec(select(Subscription.id).where(mine).with_for_update(read=True))


def _exclusion(session: Session, notice: Notice, reader: SubscriptionView, address: str, gate: Gate) -> str:
    rule = RULES[notice.kind]
    if not reader.email:
        return "erased"
    if rule.states and reader.state not in rule.states:
        return str(reader.state)
    if notice.kind in CONFIRMING and not _is_open(session, notice):
        return "no longer asked for"
    if not address:
        return "there is no address"
    if not gate.lets(address):
        return "not on the allow-list"
    try:
        against = set(reasons_against(session, notice.publication_id, address, hasher=gate.hasher)) - rule.passes
    except InvalidAddress:
        return "no mail can reach the address"
    return f"suppressed: {', '.join(sorted(against))}" if against else ""


def _is_open(session: Session, notice: Notice) -> bool:
    """Tell whether the request that a notice's link confirms is neither confirmed nor closed."""
    asked = (
        col(OptIn.id) == notice.opt_in_id,
        col(OptIn.subscription_id) == notice.subscription_id,
        col(OptIn.confirmed_at).is_(None),
        col(OptIn.closed_at).is_(None),
    )
    return session.exec(select(OptIn.id).where(*asked)).first() is not None
