"""`newsletter subscribers set-plan`: give a plan to one reader, or to all of a CSV file. Neither mails anyone."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from newsletter.cli.console import AsJSON, PublicationCode, Yes, confirm, open_service, print_json, print_rows, say
from newsletter.cli.files import DryRun, MapOption, ReportOption, account_file, opened
from newsletter.composition import Service
from newsletter.errors import Refused
from newsletter.publications import home_of, publication_named
from subscribers.actors import COMMAND_LINE
from subscribers.addresses import without_addresses
from subscribers.csv_rows import Row
from subscribers.importing import in_chunks
from subscribers.plan_changes import ChangedPlan, PlanChange, change_plan, coming_last_day
from subscribers.plan_files import PlanAccount, PlanFile, PlanOutcome, give_plans, rehearse_plans
from subscribers.roster import find_by_address
from subscribers.seen_lines import SeenLines


SHOWN = 20
REPORT = ("line", "outcome", "address", "detail", "suggestion")


@dataclass
class Tally:
    """What became of the rows, counted, and the first of those that want a look."""

    outcomes: Counter[str] = field(default_factory=Counter)
    to_look_at: list[dict[str, Any]] = field(default_factory=list)

    def count(self, account: PlanAccount) -> None:
        """Count one row."""
        self.outcomes[str(account.outcome)] += 1
        if account.detail and len(self.to_look_at) < SHOWN:
            self.to_look_at.append(asdict(account))


def set_plan(
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]")] = None,
    plan: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="Code of the plan, such as pro.")] = None,
    until: Annotated[str, typer.Option(metavar="DAY", help="Its last day, as 2027-01-31; without, no end.")] = "",
    file: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Columns email and plan, and until where plans end.")
    ] = None,
    mapping: MapOption = None,
    dry_run: DryRun = False,
    report: ReportOption = None,
    yes: Yes = False,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """Give a plan to one reader, or to all of a file; it adds nobody, and who left stays out, with the new plan."""
    if file is None:
        if address is None or plan is None:
            raise typer.BadParameter("name an ADDRESS and a PLAN, or a --file of them")
        if dry_run or report or mapping:
            raise typer.BadParameter("--dry-run, --report and --map are for a --file")
        _set_one(address, PlanWords(plan, until), publication, as_json=as_json)
        return
    if address or plan or until:
        raise typer.BadParameter("name either one reader or a --file; the file says which plan, and until when")
    _set_all(open_service(), PlanSheet(file, mapping, report, publication), dry_run=dry_run, yes=yes, as_json=as_json)


@dataclass(frozen=True)
class PlanWords:
    """A plan and its last day, as the operator wrote them."""

    code: str
    until: str


@dataclass(frozen=True)
class PlanSheet:
    """A file of plans, how it is to be read, where its account goes, and whose readers it is about."""

    file: Path
    mapping: Sequence[str] | None
    report: Path | None
    publication: str | None


def _set_one(address: str, words: PlanWords, publication: str | None, *, as_json: bool) -> None:
    service = open_service()
    with service.database.writing() as session:
        now = service.clock()
        found = publication_named(session, publication)
        until = coming_last_day(words.until, now.astimezone(home_of(found).zone).date())
        reader = find_by_address(session, found.id, address)
        change = PlanChange(words.code, until, source="command-line")
        changed = change_plan(session, reader.id, change, by=COMMAND_LINE, now=now)
    if as_json:
        after = changed.after
        kept = {"plan": after.plan, "until": after.plan_until, "state": after.state, "changed": changed.is_new}
        print_json({"id": after.id, **kept})
    else:
        say(_story(changed))


def _story(changed: ChangedPlan) -> str:
    """Say what one reader has now, and that a plan alone brings no mail to who is not a reader."""
    after = changed.after
    end = f" until {after.plan_until}" if after.plan_until else ""
    word = "has" if changed.is_new else "had already"
    aside = "" if after.state == "confirmed" else f" The subscription is {after.state}: a plan brings no mail."
    return f"{after.email} {word} plan {after.plan}{end}.{aside}"


def _set_all(service: Service, sheet: PlanSheet, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Judge the whole file, ask, and only then give the plans."""
    with service.database.reading() as session:
        found = publication_named(session, sheet.publication)
        today = service.clock().astimezone(home_of(found).zone).date()
    file = PlanFile(found.id, today, f"file {without_addresses(sheet.file.name)}")
    tally, story = _tally(sheet, _rehearsed(service, file), report=sheet.report if dry_run else None, doing="Judging")
    changes = tally.outcomes[PlanOutcome.changed]
    if not dry_run:
        if changes:
            confirm(f"Change the plans of {changes:,} readers of {found.name}?", yes=yes)
        tally, story = _tally(sheet, _given(service, file), report=sheet.report, doing="Giving plans")
    if as_json:
        outcomes = dict(tally.outcomes)
        rows = tally.outcomes.total()
        print_json({"rows": rows, "stored": not dry_run, "outcomes": outcomes, "to_look_at": tally.to_look_at})
        return
    say(story)
    print_rows([{"outcome": name, "rows": count} for name, count in tally.outcomes.most_common()], ("outcome", "rows"))
    if tally.to_look_at:
        columns = ("line", "outcome", "address_typed", "detail", "suggestion")
        print_rows(tally.to_look_at, columns, title="\nRows to look at")
    if dry_run:
        say("This was a dry run: nothing was stored.")


_Step = Callable[[list[Row], SeenLines], list[PlanAccount]]


def _tally(sheet: PlanSheet, step: _Step, *, report: Path | None, doing: str) -> tuple[Tally, str]:
    """Go through the file chunk by chunk; give what became of its rows, and what it was taken for."""
    tally = Tally()
    with opened(sheet.file, sheet.mapping, doing=doing) as source, account_file(report, sheet.file, REPORT) as write:
        if "plan" not in source.layout.positions:
            raise Refused(f"{sheet.file} has no column of plans: call one plan, or say which: --map plan=COLUMN")
        for account in _accounts(source.rows, step):
            tally.count(account)
            write(account.cells)
        return tally, source.story


def _accounts(rows: Iterator[Row], step: _Step) -> Iterator[PlanAccount]:
    with closing(SeenLines()) as seen:
        for chunk in in_chunks(rows):
            yield from step(chunk, seen)


def _rehearsed(service: Service, file: PlanFile) -> _Step:
    def step(rows: list[Row], seen: SeenLines) -> list[PlanAccount]:
        with service.database.reading() as session:
            return rehearse_plans(session, rows, file, seen)

    return step


def _given(service: Service, file: PlanFile) -> _Step:
    def step(rows: list[Row], seen: SeenLines) -> list[PlanAccount]:
        with service.database.writing() as session:
            return give_plans(session, rows, file, seen, by=COMMAND_LINE, now=service.clock())

    return step
