"""Erasure: a person is forgotten at their own wish, and stays unmailed. The end of every way through this package.

What stays points at nobody: a tombstone with its number, the ledger of consent, and a keyed hash that keeps the address
from being imported again (UK ICO: suppress instead of deleting all; France's CNIL: keep the hash only). Only the owner
of the mailbox lifts that, by signing up and confirming anew.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import Address, parse_address
from subscribers.consent import Proof, record
from subscribers.consent_models import ConsentKind
from subscribers.forgetting import forget
from subscribers.hashing import AddressHasher
from subscribers.leaving import leave_by_erasure
from subscribers.models import Subscriber, SuppressionReason
from subscribers.roster import find_everywhere
from subscribers.suppression import SuppressionOrder, add
from subscribers.traces import empty_traces


@dataclass(frozen=True)
class Erasure:
    """What erasing came to.

    Attributes:
        subscription_ids: Every subscription of the person; none where nobody of the address was stored.
        ended: How many of them were still live.
        traces: From how many proofs of other people the address was taken.
        is_newly_suppressed: Whether the address may not be mailed only since this call.
    """

    subscription_ids: tuple[int, ...]
    ended: int
    traces: int
    is_newly_suppressed: bool

    @property
    def was_stored(self) -> bool:
        """Whether there was anything to forget."""
        return bool(self.subscription_ids or self.traces)


def erase(session: Session, address: str, *, hasher: AddressHasher, by: Actor, now: datetime) -> Erasure:
    """Forget the person of an address in every publication, and keep the address from ever being mailed by our doing.

    Also for an address that is not stored: its owner asked never to be mailed. A second time changes nothing.

    Raises:
        InvalidAddress: What was typed is no address.
        OtherPepper: The store was hashed with another pepper.
    """
    parsed = parse_address(address)
    order = SuppressionOrder(parsed.email, SuppressionReason.erased, origin="erasure")
    suppressed = add(session, order, hasher=hasher, by=by, now=now)
    subscription_ids, ended = _forget_owner(session, parsed, by, now)
    return Erasure(subscription_ids, ended, empty_traces(session, parsed, now=now), suppressed)


def _forget_owner(session: Session, address: Address, by: Actor, now: datetime) -> tuple[tuple[int, ...], int]:
    """Forget the owner of an address; give every subscription there was, and how many of them this ended."""
    # Whoever changes the address, or imports it again, waits until this is committed.
    mine = select(Subscriber.id).where(col(Subscriber.address_key) == address.key).with_for_update()
    if (subscriber_id := session.exec(mine).first()) is None:
        return (), 0
    views = find_everywhere(session, address.email)
    ended = leave_by_erasure(session, subscriber_id, by=by, now=now)
    for view in views:
        record(session, view, Proof(ConsentKind.erased, "erasure", {"from": view.state}), by=by, now=now)
    forget(session, [subscriber_id], now=now)
    return tuple(view.id for view in views), ended
