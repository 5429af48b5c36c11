"""Recording: what became of each delivery, and each event that matters, once. After ``matching``, before the decisions.

Everything here can be repeated, and in any order: outcomes are joined in the lattice, and events have two unique keys.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from newsletter.delivery.models import Delivery
from newsletter.feedback.bounce_classes import Verdict, classify
from newsletter.feedback.consequences import cause_of
from newsletter.feedback.matching import ROUTINE, Matched
from newsletter.feedback.models import DeliveryOutcome, FeedbackEventRow, LinkClick, TrackedLink
from newsletter.feedback.outcomes import MARKS, Outcome, Standing, standing_of
from newsletter.providers.feedback import FeedbackKind
from subscribers.addresses import without_addresses
from subscribers.bulk import insert_missing, table_of
from subscribers.models import SuppressionReason


@dataclass(frozen=True)
class Classified:
    """A matched event, and what it means.

    Attributes:
        verdict: What a bounce says of the address, or of us; also one that is only listed.
        held_back: For which reason the provider itself holds the address back, where it does.
    """

    matched: Matched
    verdict: Verdict | None = None
    held_back: SuppressionReason | None = None


def classified(matches: Sequence[Matched]) -> list[Classified]:
    """Say of each event what it means."""
    return [_classified(one) for one in matches]


def _classified(one: Matched) -> Classified:
    match one.event.kind:
        case FeedbackKind.bounced:
            return Classified(one, classify(one.event, one.provider))
        case FeedbackKind.dropped:
            return Classified(one, held_back=cause_of(one.event.text))
        case FeedbackKind.listed:
            # Where its bounce was never told here, the list's own words say whose fault it was.
            verdict = classify(one.event, one.provider) if one.event.said == "bounces" else None
            return Classified(one, verdict, cause_of(one.event.said))
        case _:
            return Classified(one)


def record_outcomes(session: Session, events: Sequence[Classified]) -> int:
    """Join what events say into what is known of their deliveries; tell how many deliveries this taught something."""
    said: dict[int, Standing] = {}
    for one in events:
        if one.matched.delivery_id is not None:
            bounce_class = one.verdict.bounce_class if one.verdict else None
            new = standing_of(one.matched.event, bounce_class, one.matched.at)
            before = said.get(one.matched.delivery_id)
            said[one.matched.delivery_id] = before.joined(new) if before else new
    known = _known(session, said)
    joined = {id_: known[id_].joined(new) if id_ in known else new for id_, new in said.items()}
    changed = {id_: new for id_, new in joined.items() if known.get(id_) != new}
    _write(session, changed)
    _settle_reach(session, [one.matched for one in events])
    return len(changed)


def _known(session: Session, delivery_ids: Mapping[int, object]) -> dict[int, Standing]:
    found = select(DeliveryOutcome).where(col(DeliveryOutcome.delivery_id).in_(list(delivery_ids)))
    names = ("outcome_at", *MARKS)
    return {
        row.delivery_id: Standing(Outcome(row.outcome), **{name: getattr(row, name) for name in names})
        for row in session.exec(found.execution_options(populate_existing=True))
    }


def _write(session: Session, standings: Mapping[int, Standing]) -> None:
    if not standings:
        return
    session.flush()
    table = table_of(DeliveryOutcome)
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table)
    names = ("outcome", "outcome_at", *MARKS)
    # Whoever applies feedback is alone (``feedback.alone``), so that what was read above still holds.
    upsert = insert.on_conflict_do_update(
        index_elements=["delivery_id"], set_={name: insert.excluded[name] for name in names}
    )
    rows = [{"delivery_id": id_, **vars(one), "outcome": int(one.outcome)} for id_, one in standings.items()]
    session.execute(upsert, rows)
    session.expire_all()


def _settle_reach(session: Session, matches: Sequence[Matched]) -> None:
    """Let a reader whose mail was dropped before it left be reached by a second mailing of the issue.

    Not where the drop names no request of ours: nobody is mailed twice on a guess.
    """
    dropped = {one.delivery_id for one in matches if one.event.kind is FeedbackKind.dropped and not one.is_guess}
    if dropped:
        mine = col(Delivery.id).in_(dropped) & col(Delivery.may_have_reached)
        session.execute(update(Delivery).where(mine).values(may_have_reached=False))


def record_events(session: Session, events: Sequence[Classified], *, received_at: datetime) -> list[int]:
    """Keep the events that matter, each once; give the ids of those that are new."""
    rows = [_row(one, received_at) for one in events if _matters(one.matched)]
    if not rows:
        return []
    newest = session.exec(select(func.max(FeedbackEventRow.id))).one() or 0
    insert_missing(session, FeedbackEventRow, rows)
    return list(session.exec(select(FeedbackEventRow.id).where(col(FeedbackEventRow.id) > newest)))


def _matters(one: Matched) -> bool:
    """Tell whether an event is kept as a row; routine leaves its mark on its delivery, or is only counted."""
    return one.event.kind not in ROUTINE or bool(one.event.problem)


def _row(one: Classified, received_at: datetime) -> dict[str, object]:
    matched, event = one.matched, one.matched.event
    return {
        "event_id": event.event_id or None,
        "fingerprint": fingerprint(matched),
        "kind": event.kind,
        "said": without_addresses(event.said),
        "at": matched.at,
        "received_at": received_at,
        "delivery_id": matched.delivery_id,
        "mailing_id": matched.mailing_id,
        "notice_id": matched.notice_id,
        "subscriber_id": matched.subscriber_id,
        "address_hash": matched.address_hash,
        "provider": matched.provider,
        "bounce_class": one.verdict.bounce_class if one.verdict else None,
        "cause": one.held_back or (one.verdict.cause if one.verdict else ""),
        "rule": one.verdict.rule[:200] if one.verdict else "",
        "status": without_addresses(event.status),
        "text": _quiet(event.text, event.address),
        "problem": without_addresses(problem_of(matched)),
    }


def problem_of(one: Matched) -> str:
    """Tell what a person should see of an event; lists are of the whole account, and name many who are nobody here."""
    is_listed = one.event.kind is FeedbackKind.listed
    return one.event.problem or ("" if one.is_ours or is_listed else "it is about nobody of ours")


def fingerprint(one: Matched) -> str:
    """Name an event by all that it says, so that a repeat under a fresh id is known: whose mail, what, and when."""
    event = one.event
    whose = f"{event.delivery}/{event.notice}/{event.attempt}" if event.attempt else one.address_hash
    when = event.at.isoformat() if event.at else ""
    parts = (
        event.kind,
        event.said,
        whose,
        event.message_id,
        when,
        event.tries,
        event.url,
        event.classification,
        event.problem,
        event.status,
        event.bounce_type,
        _quiet(event.text, event.address),
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


#: A shorter local part is a word of its own somewhere in most texts.
_SHORTEST_LOCAL = 3


def _quiet(text: str, address: str) -> str:
    """Take a person's address, and any other, out of a server's words."""
    local = address.rpartition("@")[0]
    quiet = without_addresses(text)
    if len(local) >= _SHORTEST_LOCAL:
        quiet = re.sub(rf"(?<!\w){re.escape(local)}(?!\w)", "…", quiet, flags=re.IGNORECASE)
    return quiet


def record_clicks(session: Session, matches: Sequence[Matched]) -> None:
    """Keep which links were clicked, each once a delivery."""
    clicks = {
        (one.mailing_id, quiet_url(one.event.url), one.delivery_id)
        for one in matches
        if one.event.kind is FeedbackKind.clicked and one.event.url and one.delivery_id is not None
    }
    links = sorted({(mailing_id, url) for mailing_id, url, _ in clicks if mailing_id is not None})
    insert_missing(session, TrackedLink, [{"mailing_id": mailing_id, "url": url} for mailing_id, url in links])
    ids = _link_ids(session, links)
    rows: list[dict[str, object]] = [
        {"link_id": ids[mailing_id, url], "delivery_id": delivery_id}
        for mailing_id, url, delivery_id in clicks
        if mailing_id is not None
    ]
    insert_missing(session, LinkClick, rows)


def quiet_url(url: str) -> str:
    """Leave of a link what is the same for all readers: a query may name the one."""
    return re.split(r"[?#]", url, maxsplit=1)[0].encode()[:_LONGEST_URL].decode("utf-8", "ignore")


#: In bytes: an index row of PostgreSQL has 2704 at most.
_LONGEST_URL = 2000


def _link_ids(session: Session, links: Sequence[tuple[int, str]]) -> dict[tuple[int, str], int]:
    if not links:
        return {}
    # More than are asked for where several mailings are spoken of; a pair each would be too deep for SQLite.
    mine = col(TrackedLink.mailing_id).in_({one for one, _ in links}) & col(TrackedLink.url).in_(
        {url for _, url in links}
    )
    return {(row.mailing_id, row.url): row.id for row in session.exec(select(TrackedLink).where(mine))}
