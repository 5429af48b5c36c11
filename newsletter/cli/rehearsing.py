"""`newsletter mailing rehearse`: a whole mailing at full size, to invented readers and a local SendGrid, beforehand."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from newsletter.cli.console import (
    ID,
    AsJSON,
    Conditions,
    Yes,
    confirm,
    counting_bar,
    err,
    meant_by,
    print_facts,
    print_json,
    print_rows,
    say,
)
from newsletter.cli.findings import show_findings
from newsletter.cli.place import stopped_in_order
from newsletter.cli.rehearsal_stage import RehearsalStage, play, rehearsal_stage, traffic_of
from newsletter.composition import Service, load_settings
from newsletter.delivery.agenda import LOOK_AHEAD, free
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.policies import policy_of
from newsletter.delivery.policy import Policy
from newsletter.delivery.scheduling import Order, read_time, schedule
from newsletter.delivery.variants import edition_of, mailed_before, reader_plans
from newsletter.errors import NewsletterError, Refused
from newsletter.issues.shelf import latest_revision
from newsletter.preflight.edition import Finding, Moment
from newsletter.preflight.inspection import inspect
from newsletter.publications import Publication, home_of, publication_by_id, zone_of
from newsletter.rehearsal.copying import Piece, copy
from newsletter.rehearsal.outcome import Outcome, read_ledger
from newsletter.rehearsal.pace import Measured, pace_of
from subscribers.actors import COMMAND_LINE
from subscribers.audience import AudienceSize, audience_size
from subscribers.matching import matches


#: More readers than these take minutes, and disk: that is asked first.
MANY = 100_000
#: Bytes on disk for each reader, measured with room to spare: with counts and ids only, and with every mail.
BYTES_A_READER = 1_500
BYTES_A_MAIL = 2_500


@dataclass(frozen=True)
class _Plan:
    """What is to be rehearsed, as the real store has it."""

    piece: Piece
    title: str
    publication: Publication
    policy: Policy
    size: AudienceSize
    begins: datetime


def rehearse(
    issue: ID,
    at: Annotated[
        str | None, typer.Option("--at", help="When it is to begin: 2026-12-01T09:00; else next slot.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also to readers who have this issue already.")] = False,
    override: Annotated[
        list[str] | None, typer.Option("--override", help="A check whose blockers are overridden here, too.")
    ] = None,
    audience: Conditions = None,
    record: Annotated[bool, typer.Option("--record", help="Keep every mail; else counts and ids.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep store and record in this empty folder.")] = None,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Rehearse a mailing: the shape of its real audience, invented people, a local SendGrid. Nobody is mailed."""
    real = Service(load_settings())
    err.print("[yellow]A rehearsal: nobody is mailed, every address is invented, and no key is used.[/]")
    piece = Piece(issue, real.live, meant_by(audience), again=again, allow_list=real.settings.allow_list)
    plan = _plan(real, piece, at)
    if plan.size.candidates > MANY:
        confirm(
            f"Rehearse “{plan.title}” with {plan.size.candidates:,} invented readers? It takes minutes, and up to "
            f"{decimal(_disk(plan.size, record=record))} of disk.",
            yes=yes,
        )
    outcome = None
    # Also what SIGTERM ends must clear its people away, and take the local SendGrid along.
    with stopped_in_order(), rehearsal_stage(real, keep, record=record) as stage:
        _require_room(stage.service.settings.data_dir, _disk(plan.size, record=record))
        outcome = _rehearse(real, stage, plan, frozenset(override or ()))
    if outcome is None:
        raise Refused("the rehearsal was stopped before its end")
    if as_json:
        print_json({"issue": issue, "title": plan.title, "audience": str(piece.audience)} | outcome.told())
    else:
        _show(plan, outcome)
    if wrong := outcome.went_wrong():
        raise NewsletterError(f"the rehearsal did not go as a mailing must: {'; '.join(wrong)}")


def _plan(real: Service, piece: Piece, at: str | None) -> _Plan:
    now = real.clock()
    with real.database.reading() as session:
        shelved = latest_revision(session, piece.issue_id)
        publication = publication_by_id(session, shelved.issue.publication_id)
        meant = matches(session, piece.audience, home_of(publication))
        size = audience_size(session, publication.id, meant, now=now)
        policy = policy_of(session, publication.id)
        slots = free(session, publication, live=piece.live, since=now, until=now + LOOK_AHEAD)
    begins = read_time(at, zone_of(publication), now=now) if at else (slots[0].at if slots else now)
    return _Plan(piece, shelved.issue.title, publication, policy, size, begins)


def _disk(size: AudienceSize, *, record: bool) -> int:
    return size.candidates * (BYTES_A_READER + (BYTES_A_MAIL if record else 0))


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Refused(
            f"{folder} has {decimal(free)} free and the rehearsal may need {decimal(needed)}: name a folder with more "
            "room by --keep, or set TMPDIR"
        )


def _rehearse(real: Service, stage: RehearsalStage, plan: _Plan, overrides: frozenset[str]) -> Outcome:
    service = stage.service
    begun = time.monotonic()
    with counting_bar("Copying the audience's shape") as on_chunk, real.database.reading() as session:
        copied = copy(
            session, service.database, plan.piece, hasher=service.hasher, on_chunk=on_chunk, now=service.clock()
        )
    copying = time.monotonic() - begun
    findings = _findings(service, plan)
    order = Order(plan.piece.issue_id, service.clock(), again=plan.piece.again, overrides=overrides)
    with service.database.writing() as session:
        mailing_id = schedule(session, order, service.workshop, by=COMMAND_LINE, now=service.clock()).id
    with _requests_bar() as on_look:
        play(stage, mailing_id, on_look)
    with service.database.reading() as session:
        ledger = read_ledger(session, find_mailing(session, mailing_id))
    lanes = {one.lane: one.recipients for one in ledger.lanes}
    measured = Measured(lanes, ledger.dispatching_seconds, service.settings.dispatch_threads)
    pace = pace_of(plan.policy, measured, today=plan.begins.astimezone(zone_of(plan.publication)).date())
    return Outcome(copied, copying, ledger, traffic_of(stage), pace, findings, plan.begins)


def _findings(service: Service, plan: _Plan) -> tuple[Finding, ...]:
    """Inspect the issue as scheduling does, on the day on which it is to begin."""
    with service.database.reading() as session:
        revision = latest_revision(session, plan.piece.issue_id).revision
        plans = reader_plans(session, plan.publication).values()
        day = plan.begins.astimezone(zone_of(plan.publication)).date()
        moment = Moment(day, mailed_before(session, revision.id, live=False))
    return inspect(edition_of(revision.source, plan.publication, plans, service.workshop, moment))


@contextmanager
def _requests_bar() -> Iterator[Callable[[int, int], object]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("Requests", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


def _show(plan: _Plan, outcome: Outcome) -> None:
    ledger, traffic, zone = outcome.ledger, outcome.traffic, zone_of(plan.publication)
    account = ledger.account
    excluded = " + ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in account.exclusions.items())
    say(f"{plan.title}: a rehearsal with {outcome.copied:,} invented readers\n")
    recipients = f"{account.standing.recipients:,} recipients"
    largest = decimal(traffic.largest_request)
    say(f"{account.candidates:,} candidates = " + " + ".join(filter(None, (recipients, excluded))))
    say(account.standing.line() + "\n")
    print_facts(
        {
            "freezing": f"{ledger.freezing_seconds:,.1f} s",
            "dispatching": f"{ledger.dispatching_seconds:,.1f} s, {outcome.recipients_per_second:,.0f} recipients/s, "
            "to a SendGrid on this machine; the real one answers more slowly",
            "requests": f"{traffic.requests:,} with {decimal(traffic.bytes)}, the largest {largest} "
            "(split at 20 MB; SendGrid refuses 30 MB)",
            "by policy, computed": _by_policy(outcome),
            "begins": outcome.begins.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
            "last call": outcome.finishes.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
        }
    )
    rows = (vars(one) | {"gmail_clips": one.clipped} for one in ledger.plans)
    print_rows(rows, ("plan", "recipients", "html_bytes", "text_bytes", "gmail_clips"), title="\nBy plan")
    print_rows(map(vars, ledger.lanes), ("lane", "recipients", "requests"), title="\nBy mailbox provider")
    say("")
    show_findings(outcome.findings)


def _by_policy(outcome: Outcome) -> str:
    pace = outcome.pace
    bound = f", set by {pace.bound_by}" if pace.bound_by else ""
    left = f"; the warm-up leaves {pace.left_over:,} readers over" if pace.left_over else ""
    not_rehearsed = "rates, waves and warm-up were not waited for here"
    return f"{pace.seconds:,.0f} s for {pace.mailed:,} readers{bound}{left}; {not_rehearsed}"
