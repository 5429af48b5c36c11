"""Scheduling: an operator decides that an issue goes out, and when. After preflight, before the freeze."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Mailing
from newsletter.delivery.policies import policy_of
from newsletter.delivery.variants import Workshop, edition_of, mailed_before, reader_plans
from newsletter.errors import Refused
from newsletter.issues.models import Revision
from newsletter.issues.shelf import latest_revision
from newsletter.preflight.edition import Moment, Severity
from newsletter.preflight.inspection import NAMES, inspect
from newsletter.publications import Publication, home_of, publication_by_id, what_is_missing, zone_of
from subscribers.actors import Actor
from subscribers.filters import EVERYBODY, Filter
from subscribers.matching import matches


@dataclass(frozen=True)
class Order:
    """What an operator orders: which issue, when (UTC), and whether also to readers who have it already.

    ``overrides`` names the checks of preflight whose blockers the operator has seen and takes upon himself;
    ``audience`` whom of the publication it is meant for.
    """

    issue_id: int
    due_at: datetime
    again: bool = False
    live: bool = False
    overrides: frozenset[str] = frozenset()
    audience: Filter = EVERYBODY
    #: How long it can be undone before the first call; where nothing is said, as the publication's policy has it.
    undo_minutes: int | None = None


def schedule(session: Session, order: Order, workshop: Workshop, *, by: Actor, now: datetime) -> Mailing:
    """Schedule a mailing of an issue's newest revision.

    Raises:
        NotFound: There is no such issue.
        Refused: The issue was retracted, the publication is not complete, or preflight found a blocker; nothing was
            scheduled.
        RefusedFilter: The audience names what the publication does not have.
        BadIssue: The source cannot be read any more.
    """
    shelved = latest_revision(session, order.issue_id)
    if shelved.issue.retracted_at:
        raise Refused(f"issue {order.issue_id} was retracted: put it back with `newsletter issue retract --undo` first")
    publication = publication_by_id(session, shelved.issue.publication_id)
    if missing := what_is_missing(publication):
        options = " ".join(f"--{name.replace('_', '-')} …" for name in missing)
        words = ", ".join(name.replace("_", " ") for name in missing)
        raise Refused(
            f"publication {publication.code!r} has no {words}: set it with `newsletter publication set "
            f"{publication.code} {options}`"
        )
    matches(session, order.audience, home_of(publication))
    refuse_beside_another(session, order)
    overridden = _overridden(session, order, shelved.revision, publication, workshop, now=now)
    mailing = Mailing(
        publication_id=publication.id,
        issue_id=shelved.issue.id,
        revision_id=shelved.revision.id,
        state=MailingState.scheduled,
        due_at=order.due_at,
        first_call_at=max(order.due_at, now + _undo(session, order, publication)),
        again=order.again,
        live=order.live,
        overrides=overridden,
        audience=str(order.audience),
        created_at=now,
        created_by=str(by),
    )
    session.add(mailing)
    session.flush()
    return mailing


def _overridden(  # noqa: PLR0913 - what is looked at, for whom, and when
    session: Session, order: Order, revision: Revision, publication: Publication, workshop: Workshop, *, now: datetime
) -> list[dict[str, str]]:
    """Inspect the revision, and give the blockers that were overridden.

    Raises:
        Refused: There are blockers that were not, or an override names no check.
    """
    if unknown := order.overrides - NAMES:
        raise Refused(f"there is no check {', '.join(sorted(unknown))}; there is: {', '.join(sorted(NAMES))}")
    moment = Moment(now.astimezone(zone_of(publication)).date(), mailed_before(session, revision.id, live=order.live))
    plans = reader_plans(session, publication).values()
    findings = inspect(edition_of(revision.source, publication, plans, workshop, moment))
    blockers = [finding for finding in findings if finding.severity is Severity.blocker]
    if kept := [finding for finding in blockers if finding.check not in order.overrides]:
        listed = "; ".join(f"{finding.check} ({finding.where}): {finding.message}" for finding in kept)
        raise Refused(
            f"issue {order.issue_id} cannot be mailed as it is: {listed} (mend it, or override a check by its name "
            f"with --override, which is recorded)"
        )
    return [{"check": finding.check, "message": finding.message, "where": finding.where} for finding in blockers]


def _undo(session: Session, order: Order, publication: Publication) -> timedelta:
    said = order.undo_minutes
    return policy_of(session, publication.id).undo if said is None else timedelta(minutes=said)


def refuse_beside_another(session: Session, order: Order) -> None:
    """Refuse a second mailing of an issue while one is under way: it would leave out everybody who still waits.

    Raises:
        Refused: There is one; the sentence says how to go on.
    """
    under_way = (MailingState.freezing, MailingState.running, MailingState.paused, MailingState.halted)
    found = select(Mailing).where(
        Mailing.issue_id == order.issue_id, col(Mailing.state).in_(under_way), col(Mailing.live).is_(order.live)
    )
    _refuse_while_one_unwinds(session, order)
    if other := session.exec(found).first():
        stopped = other.state in {MailingState.paused, MailingState.halted}
        how = f"let it go on with `newsletter mailing resume {other.id}`" if stopped else "wait until it is over"
        raise Refused(f"mailing {other.id} of the same issue is {other.state}: {how}, then mail again")


def _refuse_while_one_unwinds(session: Session, order: Order) -> None:
    """Refuse while a cancelled mailing's last calls are under way: nobody knows yet whom they reach."""
    cancelled = (col(Mailing.state) == MailingState.cancelled) & col(Mailing.ended_at).is_(None)
    mine = (col(Mailing.issue_id) == order.issue_id) & col(Mailing.live).is_(order.live)
    if other := session.exec(select(Mailing).where(mine, cancelled)).first():
        raise Refused(
            f"mailing {other.id} of the same issue was cancelled, and its last calls are not over yet: try again in a "
            f"minute (`newsletter mailing show {other.id}`)"
        )


def read_time(written: str, zone: ZoneInfo, *, now: datetime) -> datetime:
    """Read a time as an operator writes it, in the publication's zone where it names none.

    Raises:
        Refused: It is no time, is past, or does not exist on that day (a clock change leaves it out).
    """
    try:
        read = datetime.fromisoformat(written)
    except ValueError:
        raise Refused(f"{written!r} is no time: write it as 2026-12-01T09:00, or with a zone as …+08:00") from None
    # `fold=0` makes an ambiguous time the first of the two.
    local = read if read.tzinfo else read.replace(tzinfo=zone, fold=0)
    instant = local.astimezone(UTC)
    if not read.tzinfo and instant.astimezone(zone).replace(tzinfo=None) != read:
        raise Refused(f"{written} does not exist in {zone.key}: the clocks are put forward over it")
    if instant <= now:
        raise Refused(f"{written} ({zone.key}) is past; to mail at once use --now")
    return instant
