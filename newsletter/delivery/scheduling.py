"""Scheduling: an operator decides that an issue goes out, and when. After preflight, before the freeze."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from newsletter.delivery.beside import refuse_beside_another
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Mailing
from newsletter.delivery.occurrences import exists
from newsletter.delivery.policies import policy_of
from newsletter.delivery.variants import Workshop, edition_of, mailed_before, reader_plans
from newsletter.errors import Refused
from newsletter.issues.shelf import Shelved, latest_revision, unready
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
    #: The planned date of the slot that it takes.
    occurrence: date | None = None
    #: Since when the issue was ready for it.
    ready_at: datetime | None = None


def schedule(session: Session, order: Order, workshop: Workshop, *, by: Actor, now: datetime) -> Mailing:
    """Schedule a mailing of an issue's newest revision. Where it is meant for everybody, it takes its approval with it.

    Raises:
        NotFound: There is no such issue.
        Refused: The issue was retracted, another mailing of it is not over, the publication is not complete, or
            preflight found a blocker; nothing was scheduled.
        RefusedFilter: The audience names what the publication does not have.
        BadIssue: The source cannot be read any more.
    """
    shelved = latest_revision(session, order.issue_id)
    publication = publication_by_id(session, shelved.issue.publication_id)
    matches(session, order.audience, home_of(publication))
    refuse_beside_another(session, order.issue_id, live=order.live)
    overridden = clear(session, shelved, order.overrides, workshop, live=order.live, now=now)
    if order.audience == EVERYBODY:
        # Unscheduled later, it waits for a person's word, and does not go out with the next slot by itself.
        unready(session, shelved.issue.id)
    mailing = Mailing(
        publication_id=publication.id,
        issue_id=shelved.issue.id,
        revision_id=shelved.revision.id,
        state=MailingState.scheduled,
        due_at=order.due_at,
        first_call_at=max(order.due_at, now + _undo(session, order, publication)),
        occurrence=order.occurrence,
        ready_at=order.ready_at,
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


def clear(  # noqa: PLR0913 - what is looked at, for whom, and when
    session: Session, shelved: Shelved, overrides: frozenset[str], workshop: Workshop, *, live: bool, now: datetime
) -> list[dict[str, str]]:
    """Make sure that an issue's newest revision may be mailed; give the blockers of preflight that were overridden.

    Raises:
        Refused: The issue was retracted, its publication is not complete, there are other blockers, or an override
            names no check.
        BadIssue: The source cannot be read any more.
    """
    issue = shelved.issue
    if issue.retracted_at:
        raise Refused(f"issue {issue.id} was retracted: put it back with `newsletter issue retract --undo` first")
    publication = publication_by_id(session, issue.publication_id)
    _refuse_incomplete(publication)
    if unknown := overrides - NAMES:
        raise Refused(f"there is no check {', '.join(sorted(unknown))}; there is: {', '.join(sorted(NAMES))}")
    moment = Moment(now.astimezone(zone_of(publication)).date(), mailed_before(session, shelved.revision.id, live=live))
    plans = reader_plans(session, publication).values()
    findings = inspect(edition_of(shelved.revision.source, publication, plans, workshop, moment))
    blockers = [finding for finding in findings if finding.severity is Severity.blocker]
    if kept := [finding for finding in blockers if finding.check not in overrides]:
        listed = "; ".join(f"{finding.check} ({finding.where}): {finding.message}" for finding in kept)
        raise Refused(
            f"issue {issue.id} cannot be mailed as it is: {listed} (mend it, or override a check by its name "
            f"with --override, which is recorded)"
        )
    return [{"check": finding.check, "message": finding.message, "where": finding.where} for finding in blockers]


def _undo(session: Session, order: Order, publication: Publication) -> timedelta:
    said = order.undo_minutes
    return policy_of(session, publication.id).undo if said is None else timedelta(minutes=said)


def _refuse_incomplete(publication: Publication) -> None:
    if missing := what_is_missing(publication):
        options = " ".join(f"--{name.replace('_', '-')} …" for name in missing)
        words = ", ".join(name.replace("_", " ") for name in missing)
        raise Refused(
            f"publication {publication.code!r} has no {words}: set it with `newsletter publication set "
            f"{publication.code} {options}`"
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
    if not read.tzinfo and not exists(read, zone):
        raise Refused(f"{written} does not exist in {zone.key}: the clocks are put forward over it")
    if instant <= now:
        raise Refused(f"{written} ({zone.key}) is past; to mail at once use --now")
    return instant
