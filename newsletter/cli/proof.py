"""The proof of consent as people read it: what was shown, asked, confirmed and withdrawn, with times and evidence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from newsletter.publications import Publication, zone_of
from subscribers.addresses import mask
from subscribers.consent_models import ConsentKind
from subscribers.models import SuppressionReason
from subscribers.proofs import LedgerEntry
from subscribers.roster import SubscriptionView


#: What each event proves, in words.
_SAYS = {
    ConsentKind.asked: "asked to subscribe",
    ConsentKind.confirm_sent: "the confirming mail was accepted by the provider",
    ConsentKind.added: "added by an operator",
    ConsentKind.imported: "imported from a list",
    ConsentKind.confirmed: "confirmed",
    ConsentKind.plan_changed: "the plan changed",
    ConsentKind.paused: "paused",
    ConsentKind.resumed: "went on after a pause",
    ConsentKind.address_asked: "asked for another address",
    ConsentKind.address_changed: "the new address was confirmed by its owner",
    ConsentKind.left: "withdrew consent: left",
    ConsentKind.reason_given: "gave a reason for leaving",
    ConsentKind.returned: "took the departure back",
    ConsentKind.lapsed: "never confirmed: lapsed",
    ConsentKind.erased: "erased",
}


@dataclass(frozen=True)
class Proof:
    """What is proven of one subscription."""

    publication: Publication
    view: SubscriptionView
    ledger: Sequence[LedgerEntry]


def lines_of(proof: Proof) -> Iterator[str]:
    """Write a subscription's proof, one fact a line."""
    zone, view = zone_of(proof.publication), proof.view
    yield f"Publication: {proof.publication.name} ({proof.publication.code}), sender {proof.publication.sender}"
    yield f"Subscription {view.id}: {view.state} on plan {view.plan}"
    for entry in proof.ledger:
        yield ""
        yield f"{moment(entry.at, zone)}: {_SAYS[entry.kind]}"
        yield from (f"    {name}: {value}" for name, value in _facts(entry, zone) if value)


def _facts(entry: LedgerEntry, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    """Name what proves an event; what was not kept is left out."""
    yield "event", f"{entry.id}, {entry.kind}"
    yield "by", entry.by
    yield "source", entry.source
    yield "plan", f"{entry.plan_name} ({entry.plan})"
    yield "frequency shown", entry.frequency
    yield "language", entry.locale
    yield from ((name.replace("_", " "), value) for name, value in entry.detail.items())
    if words := entry.words:
        yield "words shown", f"version {words.version} in {words.locale}, since {moment(words.since, zone)}"
        yield "words verbatim", " / ".join(words.text.splitlines())
        yield "privacy policy", " version ".join(filter(None, (words.privacy_url, words.privacy_version)))
        yield "sha256 of language, words and policy", words.sha256
    if found := entry.evidence:
        yield "address as typed", found.address_typed
        yield "address before", found.address_before
        yield "IP address as kept", found.ip
        yield "browser as kept", found.user_agent


def lines_of_suppressions(rows: Sequence[Mapping[str, Any]], codes: Mapping[int, str]) -> Iterator[str]:
    """Say what keeps, or kept, an address from being mailed; of an erased one this is all that remains true."""
    for row in rows:
        where = f"in {codes[row['publication_id']]}" if row["publication_id"] else "everywhere"
        what = "Erased; suppressed" if row["reason"] is SuppressionReason.erased else f"Suppressed ({row['reason']})"
        until = f" until {moment(row['lifted_at'])}, by {row['lifted_by']}" if row["lifted_at"] else ""
        yield f"{what} {where} since {moment(row['created_at'])}, by {row['created_by']}{until}."


def lines_of_mentions(rows: Sequence[Mapping[str, Any]], codes: Mapping[int, str]) -> Iterator[str]:
    """Say where an address stands in the proofs of a reader who has another one now."""
    said = {
        "address_before": "was a reader's address until then",
        "address_typed": "was typed by a reader who has another address",
        "new_address": "is the new address that a reader asked for, not confirmed",
    }
    for row in rows:
        yield f"{codes[row['publication_id']]}, {moment(row['at'])}: the address {said[row['column']]}."


def heading(address: str, now: datetime) -> str:
    """Head the proof, with when it was printed."""
    return f"Proof of consent for {mask(address)}, printed {moment(now)}"


def moment(at: datetime, zone: ZoneInfo | None = None) -> str:
    """Write a time in UTC, and in a publication's own zone."""
    utc = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{utc} ({at.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key})" if zone else utc
