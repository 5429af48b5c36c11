"""Calls of a payment system that change a reader's plan: what they say, and that each counts once. Before ``web``.

A call is known by the id that its sender gave it (Standard Webhooks, ``webhook-id``): however often and however much at
once it comes, the first that was carried out is the answer to all. What could not be carried out leaves no trace, so
that it works when its reader is there.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import JSON, Column, String, delete
from sqlmodel import Field, Session, SQLModel, col

from newsletter.errors import Refused
from newsletter.publications import publication_named, zone_of
from subscribers.actors import Actor, ActorKind
from subscribers.bulk import insert_missing, rows_changed
from subscribers.errors import UnknownSubscriber
from subscribers.plan_changes import PlanChange, change_plan, coming_last_day
from subscribers.roster import SubscriptionView, find_by_address, find_subscription


PAYMENTS = Actor(ActorKind.token, "plan hook")
#: Far longer than a sender tries again; its signature is good for five minutes.
KEPT_FOR = timedelta(days=90)
REFERENCE = re.compile(r"[\w .:/#-]{0,100}")


class PlanCall(SQLModel, table=True):
    """A call that was carried out, and what it was answered."""

    __tablename__ = "plan_call"

    id: str = Field(sa_column=Column(String(200), primary_key=True))
    at: datetime
    answer: dict[str, str | int | None] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


@dataclass(frozen=True)
class PlanOrder:
    """What a call asks for.

    Attributes:
        reader: An address, or the number of a subscription.
        plan: The plan's code.
        until: Its last day, in the publication's zone, as 2027-01-31; without one it has no end.
        publication: The publication's code; without one the only publication.
        reference: What the sender calls it, such as an order's number; kept in the ledger, and never an address.
    """

    reader: str | int
    plan: str
    until: str | None = None
    publication: str | None = None
    reference: str = ""


def take(session: Session, call_id: str, order: PlanOrder, *, now: datetime) -> dict[str, str | int | None]:
    """Carry out a call, once; give the answer, which for a repeated call is the first one's.

    Paying is no consent to mail: nobody is subscribed by it, and who left stays out, with the new plan.

    Raises:
        NotFound: There is no such publication.
        UnknownSubscriber: Nobody of this address or number is in the publication.
        UnknownPlan: The publication has no such plan.
        RefusedPlan: The last day is no date or has passed, or the plan can have no end.
        InvalidAddress: The reader is no address.
        Refused: The reference holds what a ledger that outlives erasure must not keep.
    """
    # Its sender chose the id, and may have put an address into it: what is kept of it names nobody.
    call_id = hashlib.sha256(call_id.encode()).hexdigest()
    before = session.get(PlanCall, call_id)
    if before:
        return before.answer
    if not REFERENCE.fullmatch(order.reference):
        raise Refused("reference: use up to 100 letters, digits, spaces and .:/#_-, and no address")
    # Of two at once the second waits here until the first has ended.
    insert_missing(session, PlanCall, [{"id": call_id, "at": now, "answer": {}}])
    call = session.get_one(PlanCall, call_id, populate_existing=True)
    if not call.answer:
        call.answer = _change(session, order, now)
        session.add(call)
        session.flush()
    return call.answer


def purge_calls(session: Session, *, now: datetime) -> int:
    """Forget calls that nobody will repeat any more; give how many."""
    return rows_changed(session.execute(delete(PlanCall).where(col(PlanCall.at) < now - KEPT_FOR)))


def _change(session: Session, order: PlanOrder, now: datetime) -> dict[str, str | int | None]:
    publication = publication_named(session, order.publication)
    reader = _reader(session, publication.id, order.reader)
    until = coming_last_day(order.until or "", now.astimezone(zone_of(publication)).date())
    change = PlanChange(order.plan, until, order.reference, "plan hook")
    changed = change_plan(session, reader.id, change, by=PAYMENTS, now=now)
    return {
        "status": "changed" if changed.is_new else "unchanged",
        "subscription": reader.id,
        "state": str(changed.after.state),
        "plan": changed.after.plan,
        "until": str(changed.after.plan_until) if changed.after.plan_until else None,
    }


def _reader(session: Session, publication_id: int, reader: str | int) -> SubscriptionView:
    if isinstance(reader, str):
        return find_by_address(session, publication_id, reader)
    view = find_subscription(session, reader)
    if view.publication_id != publication_id:
        raise UnknownSubscriber(f"there is no subscription {reader} in this publication")
    return view
