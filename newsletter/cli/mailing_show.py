"""`newsletter mailing show`: one mailing, understandable without the manual: what goes on, the account, what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import tzinfo
from time import sleep
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlmodel import Session

from newsletter.cli.console import ID, AsJSON, open_service, out, print_json
from newsletter.cli.mailing import row_of
from newsletter.cli.mailing_pace import how_it_goes, pace_row
from newsletter.composition import NOT_LIVE, Service
from newsletter.delivery.accounts import BatchInTrouble, Resent, resent_in
from newsletter.delivery.briefing import Briefing, brief, rate
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.overview import Overview, overview_of
from newsletter.delivery.panel import Look, in_words, looks_at
from newsletter.delivery.progress import Standing
from newsletter.hosts import open_holds
from newsletter.publications import publication_by_id, zone_of


#: So many requests are listed; `--json` has all of them.
LISTED = 10
_BAR = 40
_ENDED = (MailingState.finished, MailingState.cancelled)


@dataclass(frozen=True)
class _Seen:
    """A mailing at one moment, with everything that is shown of it."""

    row: Mapping[str, Any]
    overview: Overview
    briefing: Briefing
    looks: tuple[Look, ...]
    pace: Mapping[str, Any]
    resent: Resent
    #: Why nothing at all is mailed now.
    store_held: tuple[str, ...]
    zone: ZoneInfo
    live: bool


def show(
    mailing_id: ID,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew until it is over; Ctrl-C ends.")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks of --watch.")] = 2.0,
    as_json: AsJSON = False,
) -> None:
    """Show one mailing: what is going on, the account of every candidate, and what to do next."""
    service = open_service()
    if as_json:
        for seen in _looks(service, mailing_id, every, watch=watch):
            print_json(_as_json(seen))
    elif watch and out.is_terminal:
        with Live(console=out, auto_refresh=False) as live:
            for seen in _looks(service, mailing_id, every, watch=True):
                live.update(_page(seen), refresh=True)
    else:
        for seen in _looks(service, mailing_id, every, watch=watch):
            out.print(_page(seen), soft_wrap=True)


def _looks(service: Service, mailing_id: int, every: float, *, watch: bool) -> Iterator[_Seen]:
    """Look at a mailing once, or again and again until it is over."""
    while True:
        with service.database.reading() as session:
            seen = _look(session, service, mailing_id)
        yield seen
        mailing = seen.overview.mailing
        if not watch or (mailing.state in _ENDED and mailing.ended_at):
            return
        sleep(every)


def _look(session: Session, service: Service, mailing_id: int) -> _Seen:
    mailing = find_mailing(session, mailing_id)
    publication = publication_by_id(session, mailing.publication_id)
    zone = zone_of(publication)
    overview = overview_of(session, mailing, now=service.clock())
    looks = tuple(looks_at(session, publication, mailing.revision_id))
    pace, resent = pace_row(session, mailing, zone), resent_in(session, mailing_id)
    held = (*(one.reason for one in open_holds(session)), *filter(None, [service.room.lack()]))
    row, briefing = row_of(session, mailing), brief(overview, zone)
    return _Seen(row, overview, briefing, looks, pace, resent, held, zone, service.live)


def _page(seen: _Seen) -> Group:
    overview, row = seen.overview, seen.row
    account = overview.account
    parts: list[RenderableType] = [
        Text(f"Mailing {row['id']}  {row['title']}", style="bold"),
        Text(f"{row['state'].upper()}  {_facts(row)}", style="dim"),
        Text(""),
        *(Text(f"NOTHING IS MAILED: {reason}. See `newsletter move`.", style="bold") for reason in seen.store_held),
        Text(seen.briefing.sentence, style="bold"),
        *(Text(remark) for remark in (*seen.briefing.remarks, *how_it_goes(seen.pace), *_twice(seen.resent))),
        Text(""),
    ]
    if account.candidates:
        parts += [_bar(overview), Text(f"{_candidates(seen)}"), Text(overview.line())]
    parts += [
        Text(f"Overridden by {row['scheduled_by']}: {one['check']} ({one['where']}): {one['message']}")
        for one in row["overrides"]
    ]
    if seen.looks:
        parts.append(Text(f"Test panel, this revision: {in_words(seen.looks)}"))
    for title, standings in (("Plan", overview.by_plan), ("Mailbox provider", overview.by_lane)):
        if standings:
            parts += [Text(""), _standings(title, standings, overview.held_lanes)]
    if overview.trouble:
        parts += [Text(""), _trouble(overview.trouble, seen.zone)]
    if seen.briefing.steps:
        parts += [Text(""), Text("What you can do", style="bold"), _steps(seen.briefing)]
    return Group(*parts)


def _twice(resent: Resent) -> Iterator[str]:
    if resent.again:
        yield (
            f"Mailed once more after an unknown outcome: {resent.again:,}; of them {resent.twice:,} may have received "
            "it twice, since both requests were accepted."
        )


def _facts(row: Mapping[str, Any]) -> str:
    facts = [f"issue {row['issue']}", f"due {row['due']}", f"scheduled by {row['scheduled_by']}"]
    if row["audience"]:
        facts.append(f"only readers with {row['audience']}")
    if row["correction"]:
        facts.append(f"carries correction {row['correction']}" + (f" of “{row['section']}”" if row["section"] else ""))
    if row["again"]:
        facts.append("also to readers who have it already")
    return " · ".join([*facts, "LIVE" if row["live"] else NOT_LIVE.split(":", maxsplit=1)[0]])


def _candidates(seen: _Seen) -> str:
    account = seen.overview.account
    excluded = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in account.exclusions.items()]
    return f"{account.candidates:,} candidates = " + " + ".join(
        [f"{account.standing.recipients:,} recipients", *excluded]
    )


def _bar(overview: Overview) -> Text:
    share = overview.standing.done_share
    facts = [f"{int(share * 100)} %"]
    if overview.mailing.state is MailingState.running and overview.first_call_at:
        facts.append(rate(overview.per_second))
        facts.append(f"{overview.in_flight:,} calls under way")
    # Rounded down: what is full is over.
    full = int(share * _BAR)
    return Text(f"{'█' * full}{'░' * (_BAR - full)}  {' · '.join(facts)}")


def _standings(title: str, standings: Mapping[str, Standing], held: Mapping[str, str]) -> Table:
    columns = ("recipients", "accepted", "skipped", "rejected", "unknown", "pending", "given_up", "cancelled")
    shown = [one for one in columns if one in columns[:2] or any(getattr(row, one) for row in standings.values())]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title)
    for column in shown:
        table.add_column(column.replace("_", " "), justify="right")
    for name, row in standings.items():
        word = f"{name} (held)" if name in held else name
        table.add_row(word or "–", *(f"{getattr(row, one):,}" for one in shown))
    return table


def _trouble(trouble: Any, zone: tzinfo) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title="Requests to look at", title_justify="left")
    for column in ("request", "state", "recipients", "since", "what came back"):
        table.add_column(column, overflow="fold")
    for one in trouble[:LISTED]:
        since = one.since.astimezone(zone).strftime("%H:%M:%S")
        table.add_row(str(one.batch_id), str(one.state), f"{one.recipients:,}", since, Text(one.detail))
    if len(trouble) > LISTED:
        table.add_row("…", f"and {len(trouble) - LISTED:,} more", "", "", "--json lists them all")
    return table


def _steps(briefing: Briefing) -> Table:
    table = Table.grid(padding=(0, 2))
    for one in briefing.steps:
        table.add_row(f"  {one.command}", Text(one.what, style="dim"))
    return table


def _as_json(seen: _Seen) -> dict[str, Any]:
    overview = seen.overview
    names = ("undo_until", "first_call_at", "last_call_at", "away_since", "retry_at", "next_try_at")
    return {
        **seen.row,
        "now": overview.now,
        "sentence": seen.briefing.sentence,
        "remarks": seen.briefing.remarks,
        "next": [asdict(one) for one in seen.briefing.steps],
        "line": overview.line(),
        "proven": overview.standing.proven,
        "done_share": overview.standing.done_share,
        "per_second": round(overview.per_second, 1),
        "seconds_left": overview.seconds_left,
        "in_flight": overview.in_flight,
        **{name: getattr(overview, name) for name in names},
        "begun_at": overview.mailing.begun_at,
        "frozen_at": overview.mailing.frozen_at,
        "ended_at": overview.mailing.ended_at,
        "by_plan": {name: asdict(one) for name, one in overview.by_plan.items()},
        "by_provider": {name: asdict(one) for name, one in overview.by_lane.items()},
        "held_providers": overview.held_lanes,
        "panel": [asdict(one) | {"word": one.word} for one in seen.looks],
        "batches_in_trouble": [_request(one, seen.zone) for one in overview.trouble],
        "resent": vars(seen.resent),
        "store_held": list(seen.store_held),
        **seen.pace,
    }


def _request(one: BatchInTrouble, zone: tzinfo) -> dict[str, Any]:
    return vars(one) | {"since": one.since.astimezone(zone).isoformat(" ", "seconds")}
