"""Proofs: what the ledger holds of a subscription, with the words that were shown and the evidence. Read-only.

After ``consent``, which writes it; for the proof that a regulator asks for, and for all that is held of a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from subscribers.consent import Evidence
from subscribers.consent_models import ConsentEvent, ConsentEvidence, ConsentKind, ConsentText
from subscribers.models import Plan


@dataclass(frozen=True)
class ShownWords:
    """The words of a form, verbatim, as one version of them stood; ``sha256`` covers language, words and policy."""

    text: str
    locale: str
    version: int
    sha256: str
    privacy_url: str
    privacy_version: str
    since: datetime


@dataclass(frozen=True)
class LedgerEntry:
    """One event of the ledger with all that proves it; without evidence where none was kept, or it was emptied."""

    id: int
    kind: ConsentKind
    at: datetime
    by: str
    source: str
    plan: str
    plan_name: str
    frequency: str
    locale: str
    detail: Mapping[str, str]
    words: ShownWords | None
    evidence: Evidence | None


def ledger_of(session: Session, subscription_id: int) -> list[LedgerEntry]:
    """Give every event of a subscription, in the order they were written."""
    found = (
        select(ConsentEvent, Plan, ConsentText, ConsentEvidence)
        .join(Plan, col(Plan.id) == col(ConsentEvent.plan_id))
        .join(ConsentText, col(ConsentText.id) == col(ConsentEvent.consent_text_id), isouter=True)
        .join(ConsentEvidence, col(ConsentEvidence.event_id) == col(ConsentEvent.id), isouter=True)
        .where(ConsentEvent.subscription_id == subscription_id)
        .order_by(col(ConsentEvent.id))
    )
    return [_entry(*row) for row in session.exec(found)]


def _entry(event: ConsentEvent, plan: Plan, text: ConsentText | None, evidence: ConsentEvidence | None) -> LedgerEntry:
    return LedgerEntry(
        id=event.id,
        kind=event.kind,
        at=event.at,
        by=event.by,
        source=event.source,
        plan=plan.code,
        plan_name=plan.name,
        frequency=event.frequency,
        locale=event.locale,
        detail=dict(event.detail),
        words=_words(text) if text else None,
        evidence=(_evidence(evidence) or None) if evidence else None,
    )


def _words(text: ConsentText) -> ShownWords:
    return ShownWords(
        text=text.text,
        locale=text.locale,
        version=text.version,
        sha256=text.sha256,
        privacy_url=text.privacy_url,
        privacy_version=text.privacy_version,
        since=text.created_at,
    )


def _evidence(row: ConsentEvidence) -> Evidence:
    return Evidence(row.address_typed, row.address_before, row.ip, row.user_agent)
