"""What came of a rehearsal, read from its own ledger and from the local SendGrid's record. Then it is told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from newsletter.delivery.accounts import Account, account_of
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.models import Batch, Delivery, Mailing, Variant
from newsletter.delivery.variants import substitutions_of
from newsletter.preflight.edition import Finding
from newsletter.preflight.size import BLOCKS_FROM
from newsletter.providers.sendgrid import REQUEST_LIMIT
from newsletter.rehearsal.pace import Pace
from newsletter.rendering.personalisation import SAMPLE, fill, values_by_tag
from subscribers.models import Plan


#: SendGrid's own limit for a whole request, in bytes.
SENDGRID_LIMIT = 30_000_000


@dataclass(frozen=True)
class PlanShare:
    """A plan's mail: to how many, and how large it is in bytes; Gmail clips one that is ``clipped``."""

    plan: str
    recipients: int
    html_bytes: int
    text_bytes: int
    clipped: bool


@dataclass(frozen=True)
class LaneShare:
    """A mailbox provider's share."""

    lane: str
    recipients: int
    requests: int


@dataclass(frozen=True)
class Traffic:
    """What the local SendGrid says that it took: requests, their bytes, and each delivery how often."""

    requests: int
    bytes: int
    largest_request: int
    seen: Mapping[int, int]


@dataclass(frozen=True)
class Ledger:
    """What the rehearsal's own ledger says."""

    state: MailingState
    reason: str
    account: Account
    plans: Sequence[PlanShare]
    lanes: Sequence[LaneShare]
    accepted: frozenset[int]
    freezing_seconds: float
    dispatching_seconds: float


def read_ledger(session: Session, mailing: Mailing) -> Ledger:
    """Read what became of the rehearsed mailing."""
    return Ledger(
        state=mailing.state,
        reason=mailing.state_reason,
        account=account_of(session, mailing),
        plans=_plans(session, mailing.id),
        lanes=_lanes(session, mailing.id),
        accepted=_accepted(session, mailing.id),
        freezing_seconds=_seconds(mailing.begun_at, mailing.frozen_at),
        dispatching_seconds=_seconds(mailing.frozen_at, mailing.ended_at),
    )


def _seconds(since: datetime | None, until: datetime | None) -> float:
    return (until - since).total_seconds() if since and until else 0.0


def _plans(session: Session, mailing_id: int) -> list[PlanShare]:
    counted = (
        select(col(Batch.variant_id), func.count())
        .join(Delivery, col(Delivery.batch_id) == col(Batch.id))
        .where(Batch.mailing_id == mailing_id)
        .group_by(col(Batch.variant_id))
    )
    recipients = dict(session.exec(counted).all())
    found = select(Variant, Plan.code).join(Plan, col(Plan.id) == col(Variant.plan_id))
    rows = session.exec(found.where(Variant.mailing_id == mailing_id).order_by(col(Plan.position), col(Plan.id)))
    return [_plan(variant, code, recipients.get(variant.id, 0)) for variant, code in rows]


def _plan(variant: Variant, code: str, recipients: int) -> PlanShare:
    values = values_by_tag(substitutions_of(variant), SAMPLE)
    html, text = (len(fill(part, values).encode()) for part in (variant.html, variant.text))
    return PlanShare(code, recipients, html, text, clipped=html > BLOCKS_FROM)


def _lanes(session: Session, mailing_id: int) -> list[LaneShare]:
    counted = (
        select(col(Batch.lane), func.count(), func.count(func.distinct(Batch.id)))
        .join(Delivery, col(Delivery.batch_id) == col(Batch.id))
        .where(Batch.mailing_id == mailing_id)
        .group_by(col(Batch.lane))
    )
    return sorted((LaneShare(*row) for row in session.exec(counted)), key=lambda one: -one.recipients)


def _accepted(session: Session, mailing_id: int) -> frozenset[int]:
    follows = col(Delivery.difference).is_(None) | (col(Delivery.difference) == Difference.moved)
    found = (
        select(Delivery.id)
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .where(Delivery.mailing_id == mailing_id, Batch.state == BatchState.accepted, follows)
    )
    return frozenset(session.exec(found))


@dataclass(frozen=True)
class Outcome:
    """A rehearsal from beginning to end."""

    copied: int
    copying_seconds: float
    ledger: Ledger
    traffic: Traffic
    pace: Pace
    findings: Sequence[Finding]
    begins: datetime

    @property
    def missing(self) -> int:
        """How many accepted recipients the local SendGrid has no mail of."""
        return len(self.ledger.accepted - self.traffic.seen.keys())

    @property
    def unasked(self) -> int:
        """How many mails the local SendGrid has that the ledger does not call accepted."""
        return len(self.traffic.seen.keys() - self.ledger.accepted)

    @property
    def more_than_once(self) -> int:
        """How many recipients got it more than once."""
        return sum(times > 1 for times in self.traffic.seen.values())

    @property
    def recipients_per_second(self) -> float:
        """How many recipients a second went to the local SendGrid."""
        seconds = self.ledger.dispatching_seconds
        return len(self.ledger.accepted) / seconds if seconds else 0.0

    @property
    def finishes(self) -> datetime:
        """When the last call would be made; freezing takes as long as it took here."""
        return self.begins + timedelta(seconds=self.ledger.freezing_seconds + self.pace.seconds)

    def went_wrong(self) -> tuple[str, ...]:
        """Name everything that a real mailing must not do; nothing where all went as promised."""
        standing = self.ledger.account.standing
        said = {
            f"it ended {self.ledger.state}: {self.ledger.reason}": self.ledger.state is not MailingState.finished,
            f"the account does not balance: {standing.line()}": not self.ledger.account.balances,
            f"{standing.rejected:,} were rejected and {standing.unknown:,} are unknown": (
                standing.rejected or standing.unknown
            ),
            f"{self.copied:,} were copied, but {self.ledger.account.candidates:,} were candidates": (
                self.copied != self.ledger.account.candidates
            ),
            f"{self.missing:,} that were accepted are not on the local SendGrid's record": self.missing,
            f"{self.unasked:,} on the local SendGrid's record were not accepted by the ledger": self.unasked,
            f"{self.more_than_once:,} got it more than once": self.more_than_once,
        }
        return tuple(sentence for sentence, is_so in said.items() if is_so)

    def told(self) -> dict[str, Any]:
        """Give everything as plain values, times in seconds and sizes in bytes."""
        account, traffic = self.ledger.account, self.traffic
        return {
            "live": False,
            "state": str(self.ledger.state),
            "candidates": account.candidates,
            "exclusions": dict(account.exclusions),
            **asdict(account.standing),
            "line": account.standing.line(),
            "balances": account.balances,
            "missing": self.missing,
            "received_more_than_once": self.more_than_once,
            "went_wrong": list(self.went_wrong()),
            "seconds": {
                "copying": round(self.copying_seconds, 2),
                "freezing": round(self.ledger.freezing_seconds, 2),
                "dispatching": round(self.ledger.dispatching_seconds, 2),
            },
            "recipients_per_second": round(self.recipients_per_second, 1),
            "requests": traffic.requests,
            "bytes": traffic.bytes,
            "largest_request": traffic.largest_request,
            "request_limit": REQUEST_LIMIT,
            "sendgrid_limit": SENDGRID_LIMIT,
            "plans": list(map(asdict, self.ledger.plans)),
            "lanes": list(map(asdict, self.ledger.lanes)),
            "findings": list(map(asdict, self.findings)),
            "by_policy": {"computed": True, **asdict(self.pace)},
            "begins": self.begins.isoformat(),
            "finishes": self.finishes.isoformat(),
        }


def times_seen(delivery_ids: Iterable[int]) -> dict[int, int]:
    """Count how often each delivery stands on the record."""
    seen: dict[int, int] = {}
    for one in delivery_ids:
        seen[one] = seen.get(one, 0) + 1
    return seen
