"""Replay: what a reader was sent, found again (DESIGN §4.10). Read-only; for the page behind "read in the browser"."""

from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import Difference
from newsletter.delivery.models import Batch, Delivery, Mailing, Variant
from subscribers.roster import SubscriptionView


def variant_sent(session: Session, subscription: SubscriptionView, mailing_id: int) -> tuple[Variant, Mailing] | None:
    """Find the variant that a mailing sent to a subscription; nothing where it sent none, or the reader was erased."""
    if not subscription.email:
        return None
    found = (
        select(Variant, Mailing)
        .join(Mailing, col(Mailing.id) == col(Variant.mailing_id))
        .join(Batch, col(Batch.variant_id) == col(Variant.id))
        .join(Delivery, col(Delivery.batch_id) == col(Batch.id))
        .where(
            Delivery.mailing_id == mailing_id,
            Delivery.subscription_id == subscription.id,
            col(Delivery.difference).is_distinct_from(Difference.skipped),
            col(Delivery.difference).is_distinct_from(Difference.rejected),
        )
    )
    return session.exec(found).first()
