"""`newsletter demo`: the whole path on this machine in one command, with invented readers and a local SendGrid.

A publication, readers, an issue, a mailing that the clock picks up; some mails bounce, some readers complain, one
leaves by their mail program's button and one by the page; the next issue leaves them out. What is printed is counted
from the ledger and from the local SendGrid's own record, address by address and event by event.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from sqlalchemy import select as select_columns
from sqlmodel import col

from newsletter.cli.console import AsJSON, err, out, print_json, print_rows
from newsletter.cli.demo_parts import Stage, call, stage
from newsletter.cli.demo_readers import make_publication, make_readers
from newsletter.composition import NOT_LIVE, shipped
from newsletter.delivery.accounts import Account, account_of
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.models import Batch, Delivery
from newsletter.delivery.scheduling import Order, schedule
from newsletter.errors import NewsletterError, Refused
from newsletter.feedback.ingest import backlog
from newsletter.issues.shelf import Placing, add_source
from newsletter.publications import Publication
from newsletter.reports.issue import IssueReport, report_of
from subscribers.actors import COMMAND_LINE
from subscribers.models import Subscriber


ENDED = frozenset({MailingState.finished, MailingState.held, MailingState.halted})
LONGEST_WAIT = 3600.0


@dataclass(frozen=True)
class Mailed:
    """One mailing of the demo: what the ledger says, and what the local SendGrid delivered of it, by address.

    Attributes:
        said: How many events the local SendGrid posted of it, by kind.
        leaving: Who left after it: whose mail the local SendGrid has a complaint about, and who pressed a button.
    """

    mailing_id: int
    state: MailingState
    account: Account
    expected: frozenset[str]
    delivered: Counter[str]
    report: IssueReport
    said: Counter[str]
    leaving: frozenset[str]

    @property
    def missing(self) -> int:
        """How many accepted recipients the local SendGrid has no mail of."""
        return len(self.expected - set(self.delivered))

    @property
    def agrees(self) -> bool:
        """Whether the report and the local SendGrid's record say the same, to the unit."""
        total, said = self.report.total, self.said
        here = [total.delivered, total.bounced, total.dropped, total.complained]
        there = [said[kind] for kind in ("delivered", "bounce", "dropped", "spamreport")]
        here += [total.deferred_once, self.report.left]
        there += [said["deferred"], len(self.leaving)]
        return self.report.balances and here == there

    @property
    def more_than_once(self) -> int:
        """How many addresses got the mailing more than once."""
        return sum(count > 1 for count in self.delivered.values())


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself; else stay up until Ctrl-C.")] = False,
    as_json: AsJSON = False,
    issue: Annotated[Path | None, typer.Option(help="An issue of your own, in Markdown.")] = None,
    subscribers: Annotated[int, typer.Option(min=10, help="How many readers to invent.")] = 300,
    data_dir: Annotated[Path | None, typer.Option(help="Keep everything in this empty folder.")] = None,
) -> None:
    """Render and deliver an issue to invented readers through a local SendGrid."""
    first_source = _read(issue or shipped("examples") / "weekly.md")
    with stage(data_dir) as set_up:
        err.print(f"[yellow]{NOT_LIVE}.[/]")
        publication = make_publication(set_up.service)
        rows = make_readers(set_up.service, publication, subscribers)
        _let_some_bounce(set_up)
        first = _mail(set_up, publication, first_source)
        leavers = _let_two_leave(set_up)
        first = _account_for(set_up, first.mailing_id, leavers)
        second = _mail(set_up, publication, (shipped("examples") / "weekly-next.md").read_bytes())
        told = _tell(first, second, leavers, rows)
        if not once:
            told |= {"service_url": set_up.service_url, "emulator_url": set_up.emulator_url}
        if as_json:
            print_json(told)
        else:
            _print_story(told)
        if not once:
            _stay_up(set_up)
    _require_truth(first, second, leavers)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None


def _mail(set_up: Stage, publication: Publication, source: bytes) -> Mailed:
    """Add an issue, schedule it for now, and wait until the service has mailed it."""
    service = set_up.service
    with service.database.writing() as session:
        shelved = add_source(session, publication.id, source, Placing(), by=COMMAND_LINE, now=service.clock())
        order = Order(shelved.issue.id, service.clock())
        mailing = schedule(session, order, service.workshop, by=COMMAND_LINE, now=service.clock())
    _wait(set_up, mailing.id)
    _wait_for_feedback(set_up)
    return _account_for(set_up, mailing.id)


def _account_for(set_up: Stage, mailing_id: int, leavers: Sequence[str] = ()) -> Mailed:
    """Read what became of a mailing, here and in the local SendGrid's record; ``leavers`` pressed a button since."""
    with set_up.service.database.reading() as session:
        ended = find_mailing(session, mailing_id)
        account = account_of(session, ended)
        report = report_of(session, mailing_id)
    addresses, accepted = _addresses(set_up, mailing_id)
    delivered = Counter(address for delivery, address in _record_of(set_up) if delivery in addresses)
    events = _events_of(set_up, addresses)
    said = Counter(str(event["kind"]) for event in events)
    leaving = {str(event["body"]["email"]) for event in events if event["kind"] == "spamreport"}.union(leavers)
    return Mailed(mailing_id, ended.state, account, accepted, delivered, report, said, frozenset(leaving))


#: What becomes of some of the demo's mails: whose, how many of them, and what their server says.
_SCRIPT: Sequence[dict[str, object]] = (
    {"reaction": "bounce", "domain": "example.com", "rate": 0.03, "seed": 1},
    {"reaction": "block", "domain": "example.org", "rate": 0.03, "seed": 2},
    {"reaction": "defer", "domain": "example.net", "rate": 0.1, "seed": 3},
    {"reaction": "complain", "rate": 0.01, "seed": 4},
)


def _let_some_bounce(set_up: Stage) -> None:
    """Tell the local SendGrid what becomes of the mails."""
    for rule in _SCRIPT:
        call(f"{set_up.emulator_url}/_emulator/react", data=json.dumps(rule).encode(), kind="application/json")


def _wait_for_feedback(set_up: Stage) -> None:
    """Wait until every event of the local SendGrid's was posted, and applied."""
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < deadline:
        posting = json.loads(call(f"{set_up.emulator_url}/_emulator/counts"))["posting"]
        with set_up.service.database.reading() as session:
            waiting = backlog(session).calls
        if not posting["waiting"] and not waiting:
            return
        time.sleep(0.1)
    raise NewsletterError(f"the demo's events did not all arrive within {LONGEST_WAIT:.0f} s; see {set_up.folder}")


def _events_of(set_up: Stage, delivery_ids: frozenset[int]) -> list[dict[str, Any]]:
    """Read what the local SendGrid said of these deliveries, by its own record of events."""
    events = [json.loads(line) for line in call(f"{set_up.emulator_url}/_emulator/events").splitlines()]
    return [event for event in events if int(event["body"].get("delivery", 0)) in delivery_ids]


def _wait(set_up: Stage, mailing_id: int) -> None:
    columns = (TextColumn("Mailing {task.fields[number]}"), BarColumn(), MofNCompleteColumn())
    deadline = time.monotonic() + LONGEST_WAIT
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("mailing", total=None, number=mailing_id)
        while time.monotonic() < deadline:
            with set_up.service.database.reading() as session:
                mailing = find_mailing(session, mailing_id)
                standing = account_of(session, mailing).standing
            done = standing.recipients - standing.pending
            progress.update(task, total=standing.recipients or None, completed=done)
            if mailing.state in ENDED:
                return
            time.sleep(0.2)
    raise NewsletterError(f"the demo's mailing did not end within {LONGEST_WAIT:.0f} s; see {set_up.folder}/serve.log")


def _addresses(set_up: Stage, mailing_id: int) -> tuple[frozenset[int], frozenset[str]]:
    """Give a mailing's delivery ids, and the addresses of those that the ledger says were accepted."""
    found = (
        select_columns(col(Delivery.id), col(Delivery.difference), col(Batch.state), col(Subscriber.email))
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(col(Delivery.mailing_id) == mailing_id)
    )
    not_mailed = {Difference.skipped, Difference.rejected}
    with set_up.service.database.reading() as session:
        rows = session.execute(found).all()
    accepted = (
        email for _, difference, state, email in rows if state == BatchState.accepted and difference not in not_mailed
    )
    return frozenset(row[0] for row in rows), frozenset(email for email in accepted if email)


def _record_of(set_up: Stage) -> list[tuple[int, str]]:
    """Read the local SendGrid's record: which delivery went to which address."""
    lines = call(f"{set_up.emulator_url}/_emulator/deliveries?fields=to,custom_args").splitlines()
    record = [json.loads(line) for line in lines]
    # Notices stand in it too, and are no deliveries.
    return [(int(one["custom_args"]["delivery"]), one["to"]) for one in record if "delivery" in one["custom_args"]]


def _let_two_leave(set_up: Stage) -> tuple[str, str]:
    """Let one reader press their mail program's button, and another the button of the page; give their addresses."""
    lines = call(f"{set_up.emulator_url}/_emulator/deliveries?fields=to,headers").splitlines()
    by_button, by_page = json.loads(lines[0]), json.loads(lines[-1])
    call(_unsubscribe_url(by_button), data=b"List-Unsubscribe=One-Click")
    page = _unsubscribe_url(by_page)
    call(page)
    call(page, data=b"from=page")
    return by_button["to"], by_page["to"]


def _unsubscribe_url(mail: dict[str, Any]) -> str:
    header = {name.lower(): value for name, value in mail["headers"].items()}["list-unsubscribe"]
    if not (match := re.search(r"<(https?://[^>]+)>", header)):
        raise NewsletterError(f"a delivered mail has no usable List-Unsubscribe header: {header!r}")
    return match[1]


def _tell(first: Mailed, second: Mailed, leavers: tuple[str, str], rows: dict[str, int]) -> dict[str, Any]:
    next_mailing = _numbers(second) | {"leavers_mailed": sum(second.delivered[address] for address in leavers)}
    return _numbers(first) | {"live": False, "import": rows, "next_mailing": next_mailing}


def _numbers(mailed: Mailed) -> dict[str, Any]:
    standing = mailed.account.standing
    return {
        "state": str(mailed.state),
        "candidates": mailed.account.candidates,
        "recipients": standing.recipients,
        "exclusions": dict(mailed.account.exclusions),
        "accepted": standing.accepted,
        "skipped": standing.skipped,
        "rejected": standing.rejected,
        "unknown": standing.unknown,
        # Counted by the service from the events that the local SendGrid posted to it.
        "delivered": mailed.report.total.delivered,
        "bounced": mailed.report.total.bounced,
        "complained": mailed.report.total.complained,
        "left": mailed.report.left,
        # By a button; whoever complained left with that.
        "unsubscribed": mailed.report.left - mailed.report.total.complained,
        "deferred_once": mailed.report.total.deferred_once,
        "bounces": dict(mailed.report.total.bounces),
        "received_more_than_once": mailed.more_than_once,
        "missing": mailed.missing,
        "balances": mailed.account.balances,
    }


def _print_story(told: dict[str, Any]) -> None:
    following = told["next_mailing"]
    excluded = [f"excluded: {reason}" for reason in {**told["exclusions"], **following["exclusions"]}]
    names = ["candidates", *excluded, "recipients", "accepted", "delivered", "bounced", "complained"]
    names += ["left", "unknown", "received_more_than_once", "missing"]

    def value(mailing: dict[str, Any], name: str) -> Any:
        kind, _, reason = name.partition(": ")
        return mailing["exclusions"].get(reason, 0) if kind == "excluded" else mailing[name]

    rows = [{"": name, "first issue": value(told, name), "next issue": value(following, name)} for name in names]
    print_rows(rows, ("", "first issue", "next issue"), title="What happened")
    out.print(
        "\nOne reader left by their mail program's button, one by the page; the next issue went to neither, "
        "and not to whose mail had bounced or who had complained.",
        soft_wrap=True,
    )


def _stay_up(set_up: Stage) -> None:
    err.print(
        f"\nInbox of the local SendGrid:  {set_up.emulator_url}\nReaders' pages:               {set_up.service_url}"
    )
    err.print("Ctrl-C ends the demo and clears everything away.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        err.print("The demo is over.")


def _require_truth(first: Mailed, second: Mailed, leavers: tuple[str, str]) -> None:
    """Fail loudly where the demo did not show what it promises."""
    for mailed in (first, second):
        if not mailed.agrees:
            raise NewsletterError(f"the report and the local SendGrid differ: {mailed.report.total}, {mailed.said}")
        if not mailed.account.balances or mailed.missing or mailed.more_than_once or mailed.account.standing.unknown:
            raise NewsletterError(f"the demo's mailing {mailed.mailing_id} did not go as promised: {_numbers(mailed)}")
    if any(address in second.delivered for address in leavers):
        raise NewsletterError("a reader who left was mailed again")
