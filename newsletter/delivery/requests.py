"""What a request holds for each reader, read at the last moment before it leaves; called by ``dispatch``.

The last look (DESIGN §4.5): in the transaction that commits ``submitting``, suppression, departure, erasure and plan
are read once more. Who may no longer be mailed is skipped; whose plan changed moves to that plan's variant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, update
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.delivery.audience import on_allow_list
from newsletter.delivery.dividing import move_to_new_batch
from newsletter.delivery.doubts import carry_over, follows_its_batch, in_doubt
from newsletter.delivery.lifecycle import Difference
from newsletter.delivery.models import Batch, Delivery, Mailing, Variant
from newsletter.delivery.reach import ALREADY_REACHED, journalled
from newsletter.delivery.variants import substitutions_of
from newsletter.list_headers import list_id, way_out
from newsletter.providers.base import Message, Recipient
from newsletter.publications import Publication
from newsletter.rendering.personalisation import ReaderValues, Substitution, values_by_tag
from newsletter.signing import LinkSigner, Purpose
from subscribers.addresses import mask
from subscribers.audience import may_mail
from subscribers.models import Subscription
from subscribers.roster import SubscriptionView


@dataclass(frozen=True)
class Letterhead:
    """What an installation puts on every request: where readers reach it, what signs links, whom it may mail at all."""

    public_url: str
    signer: LinkSigner
    allow_list: tuple[str, ...] = ()

    def unsubscribe_url(self, unsubscribe_id: str) -> str:
        """Write a reader's unsubscribe link; short, since mail programs break long header lines (RFC 8058)."""
        return f"{self.public_url}/u/{unsubscribe_id}"

    def read_url(self, subscription_id: int, mailing_id: int, *, at: datetime) -> str:
        """Write the link at which a reader reads a mail again; it works for a time from then on."""
        return f"{self.public_url}/read/{self.signer.sign(Purpose.read, subscription_id, mailing_id, at=at)}"

    def values(self, reader: Row[Any] | SubscriptionView, subscription_id: int, mailing: Mailing) -> ReaderValues:
        """Give what one reader's mail says that no other's does; asked again, the same to the byte."""
        return ReaderValues(
            name=reader.name or "",
            masked_address=mask(reader.email),
            unsubscribe_url=self.unsubscribe_url(reader.unsubscribe_id),
            preferences_url=f"{self.public_url}/preferences/{reader.unsubscribe_id}",
            read_url=self.read_url(subscription_id, mailing.id, at=mailing.frozen_at or mailing.due_at),
        )


@dataclass(frozen=True)
class LastLook:
    """Who stays in a batch, and what became of the rest."""

    stays: Sequence[Row[Any]]
    skipped: int
    moved: int


def last_look(session: Session, batch: Batch, letterhead: Letterhead, *, now: datetime) -> LastLook:
    """Look at every delivery of a batch once more, skip and move whom the rules say, and give back who stays."""
    variant_of_plan = _variants(session, batch.mailing_id)
    own_plan = next(plan for plan, variant in variant_of_plan.items() if variant == batch.variant_id)
    stays, skips, moves = [], dict[str, list[int]](), dict[int, list[int]]()
    for row in _rows(session, batch, letterhead, now):
        if reason := _reason_to_skip(row, variant_of_plan):
            skips.setdefault(reason, []).append(row.delivery_id)
        elif row.plan_id != own_plan:
            moves.setdefault(variant_of_plan[row.plan_id], []).append(row.delivery_id)
        else:
            stays.append(row)
    for reason, ids in skips.items():
        mark(session, ids, Difference.skipped, reason)
    for variant_id, ids in moves.items():
        move_to_new_batch(session, batch, ids, now=now, variant_id=variant_id, difference=Difference.moved)
    return LastLook(stays, sum(map(len, skips.values())), sum(map(len, moves.values())))


def _variants(session: Session, mailing_id: int) -> dict[int, int]:
    found = select(Variant.plan_id, Variant.id).where(Variant.mailing_id == mailing_id)
    return dict(session.exec(found).all())


def _rows(session: Session, batch: Batch, letterhead: Letterhead, now: datetime) -> Sequence[Row[Any]]:
    mine = (col(Delivery.mailing_id) == batch.mailing_id) & (col(Delivery.batch_id) == batch.id) & follows_its_batch()
    theirs = select_columns(col(Delivery.subscription_id)).where(mine)
    # Who leaves at this very moment waits until `submitting` is committed, or is seen to have left; never in between.
    session.execute(
        select_columns(col(Subscription.id)).where(col(Subscription.id).in_(theirs)).with_for_update(read=True)
    )
    people = may_mail(theirs, now=now).subquery()
    allowed = on_allow_list(people, letterhead.allow_list).label("allowed")
    mailing = session.get_one(Mailing, batch.mailing_id)
    reached = journalled(mailing, people.c.subscriber_id).label("reached")
    found = (
        select_columns(col(Delivery.id).label("delivery_id"), *people.c, allowed, reached)
        .join(people, people.c.subscription_id == col(Delivery.subscription_id))
        .where(mine)
        .order_by(col(Delivery.id))
    )
    return session.execute(found).all()


def _reason_to_skip(row: Row[Any], variant_of_plan: dict[int, int]) -> str | None:
    if row.exclusion is not None:
        return str(row.exclusion)
    if not row.allowed:
        return "not_on_allow_list"
    if row.reached:
        # By a call that was made after the backup which this store was restored from.
        return ALREADY_REACHED
    return None if row.plan_id in variant_of_plan else "plan"


def mark(session: Session, delivery_ids: Iterable[int], difference: Difference, reason: str) -> None:
    """Set deliveries apart from their batch: its next request is not for them, for this reason.

    Who was in an earlier request of unknown outcome may have been reached by that; who is proven to have been stays so.
    """
    ids = list(delivery_ids)
    carry_over(session, ids)
    mine = col(Delivery.id).in_(ids) & follows_its_batch()
    values = {"difference": difference, "reason": reason, "may_have_reached": in_doubt()}
    session.execute(update(Delivery).where(mine).values(**values), execution_options={"synchronize_session": False})


@dataclass(frozen=True)
class Draft:
    """All that a request says, read in one transaction. Written after it: who leaves must not wait so long."""

    publication: Publication
    mailing: Mailing
    variant: Variant
    stays: Sequence[Row[Any]]
    letterhead: Letterhead
    attempt: str

    def message(self) -> Message:
        """Write the request for who stays: one rendering, and for each reader what is theirs alone."""
        return _message(self)


def draft(session: Session, batch: Batch, look: LastLook, letterhead: Letterhead, attempt: str) -> Draft:
    """Read what a request for who stays will say."""
    mailing = session.get_one(Mailing, batch.mailing_id)
    publication = session.get_one(Publication, mailing.publication_id)
    return Draft(publication, mailing, session.get_one(Variant, batch.variant_id), look.stays, letterhead, attempt)


def _message(of: Draft) -> Message:
    publication, variant, letterhead = of.publication, of.variant, of.letterhead
    substitutions = substitutions_of(variant)
    return Message(
        sender=publication.sender,
        sender_name=publication.name,
        reply_to=publication.reply_to,
        subject=variant.subject,
        html=variant.html,
        text=variant.text,
        recipients=tuple(
            _recipient(
                row,
                substitutions,
                letterhead.values(row, row.subscription_id, of.mailing),
                headers=way_out(publication, letterhead.unsubscribe_url(row.unsubscribe_id), row.unsubscribe_id),
                attempt=of.attempt,
            )
            for row in of.stays
        ),
        headers={"List-Id": list_id(publication)},
        track_opens=publication.track_opens,
        track_clicks=publication.track_clicks,
    )


def _recipient(
    row: Row[Any],
    substitutions: tuple[Substitution, ...],
    values: ReaderValues,
    *,
    headers: Mapping[str, str],
    attempt: str,
) -> Recipient:
    return Recipient(
        address=row.email,
        name=row.name or "",
        # Literal for each reader: SendGrid documents no substitution in headers. Both are needed (RFC 8058).
        headers=headers,
        substitutions=values_by_tag(substitutions, values),
        # Opaque: the number means nothing without the attempt, and that is random. SendGrid's own `attempt`, of a
        # deferral, would take the place of an argument of that name.
        custom_args={"delivery": str(row.delivery_id), "attempt_id": attempt},
    )
