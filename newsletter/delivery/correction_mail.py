"""A correction by mail: the note and the mended section, to those who were sent that section. Beside ``scheduling``.

It is a mailing like every other, through the same ledger, once per correction and reader: its round is the correction
(``audience``). Its variants are made by ``variants`` from an excerpt of the mended revision.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from newsletter.delivery.beside import refuse_beside_another
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.models import Batch, Correction, Delivery, Mailing, Variant
from newsletter.delivery.policies import policy_of
from newsletter.delivery.variants import reader_plans
from newsletter.issues.access import cut
from newsletter.issues.document import parse
from newsletter.issues.excerpt import holds_section, section_of
from newsletter.issues.models import Revision
from newsletter.issues.shelf import find_issue
from newsletter.publications import publication_by_id
from subscribers.actors import Actor
from subscribers.models import Subscription


@dataclass(frozen=True)
class CorrectionOrder:
    """A correction that goes by mail: with which section of the issue, and how long it can be undone."""

    correction: Correction
    section: str = ""
    live: bool = False
    undo_minutes: int | None = None


def mail_correction(session: Session, order: CorrectionOrder, *, by: Actor, now: datetime) -> Mailing:
    """Schedule a correction's mail for now.

    Raises:
        NotFound: The mended revision has no such section.
        Refused: Another mailing of the issue is under way.
    """
    correction = order.correction
    if order.section:
        section_of(parse(session.get_one(Revision, correction.revision_id).source), order.section)
    refuse_beside_another(session, correction.issue_id, live=order.live)
    publication_id = find_issue(session, correction.issue_id).publication_id
    undo = policy_of(session, publication_id).undo_minutes if order.undo_minutes is None else order.undo_minutes
    mailing = Mailing(
        publication_id=publication_id,
        issue_id=correction.issue_id,
        revision_id=correction.revision_id,
        state=MailingState.scheduled,
        due_at=now,
        first_call_at=now + timedelta(minutes=undo),
        correction_id=correction.id,
        section=order.section,
        live=order.live,
        created_at=now,
        created_by=str(by),
    )
    session.add(mailing)
    session.flush()
    return mailing


def was_sent(session: Session, mailing: Mailing) -> ColumnElement[bool]:
    """Give the condition for who was sent what a correction's mailing mends: the issue, or the section of it."""
    apart = (Difference.skipped, Difference.rejected)
    theirs = (
        select(Delivery.subscription_id)
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .where(Delivery.issue_id == mailing.issue_id, col(Delivery.live).is_(mailing.live), col(Delivery.round) >= 0)
        .where(col(Delivery.may_have_reached), col(Batch.state) == BatchState.accepted)
        .where(func.coalesce(col(Delivery.difference), "").not_in(apart))
        .where(col(Batch.variant_id).in_(_variants_with_it(session, mailing)))
    )
    return col(Subscription.id).in_(theirs)


def count_was_sent(session: Session, mailing: Mailing) -> int:
    """Count the readers whom a correction's mailing is meant for."""
    return session.exec(select(func.count()).select_from(Subscription).where(was_sent(session, mailing))).one()


def _variants_with_it(session: Session, mailing: Mailing) -> list[int]:
    """List the variants of the issue's mailings that held the section; without a section, all of them."""
    found = (
        select(Variant.id, Variant.plan_id, Revision.source)
        .join(Mailing, col(Mailing.id) == col(Variant.mailing_id))
        .join(Revision, col(Revision.id) == col(Mailing.revision_id))
        .where(Mailing.issue_id == mailing.issue_id, col(Mailing.correction_id).is_(None))
    )
    plans = reader_plans(session, publication_by_id(session, mailing.publication_id))
    return [
        variant_id
        for variant_id, plan_id, source in session.exec(found)
        if not mailing.section or holds_section(cut(parse(source), plans[plan_id]), mailing.section)
    ]
