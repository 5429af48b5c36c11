"""`newsletter backup`, `restore` and `move`: a copy that can be relied on, and a store that goes where it is needed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from sqlmodel import Session, col, select

from newsletter.backups.manifest import Manifest
from newsletter.backups.restoring import Keys, Place, Restored, look_into
from newsletter.backups.restoring import restore as restore_backup
from newsletter.backups.taking import SUFFIX, Source, calls_under_way, let_go_of_old, name_at, retire, take
from newsletter.cli.console import AsJSON, Yes, confirm, err, open_service, print_json, print_rows, say
from newsletter.cli.place import alone_on
from newsletter.composition import Service, load_settings, open_database
from newsletter.delivery.accounts import standing_of
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Mailing
from newsletter.errors import Misconfigured, Refused
from newsletter.hosts import OpenHold, open_holds, release_store
from newsletter.publications import home_of, publication_by_id
from subscribers.actors import COMMAND_LINE
from subscribers.audience import audience_size
from subscribers.filters import parse_filter
from subscribers.matching import matches


#: So long a handover waits for the calls under way, in seconds; more than any call may last.
PATIENCE = 700.0
#: What goes out so soon after a release is told before it.
SOON = timedelta(days=7)


def backup(
    to: Annotated[Path | None, typer.Option(help="File or folder; else `backups` in the data folder.")] = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Delete all but so many of the folder's backups.")] = None,
    handover: Annotated[
        bool, typer.Option("--handover", help="Another host takes over: this one mails nothing from now on.")
    ] = False,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Write a verified copy of the store into one file, while everything goes on."""
    service = open_service()
    target = _target(service, to)
    if handover:
        confirm("Hand the store over? This host mails nothing from now on, until it is taken back.", yes=yes)
        _retire(service)
    source = Source(service.database, service.journal, service.machine, service.live, service.room)
    with _bar("copying") as moved:
        manifest = take(source, target, moved, handover=handover, now=service.clock())
    gone = let_go_of_old(target.parent, keep) if keep else ()
    if as_json:
        print_json(_as_json(manifest) | {"file": str(target), "bytes": target.stat().st_size, "deleted": list(gone)})
        return
    rows = manifest.counts
    people, mails = rows.get("subscriber", 0), rows.get("delivery", 0)
    say(f"{target}: {target.stat().st_size:,} bytes, verified; {people:,} readers, {mails:,} deliveries.")
    say(f"It needs the peppers {_ids(manifest.peppers)} and the link keys {_ids(manifest.link_keys)}: keep these too,")
    say(f"and the journal in {service.journal.folder}, which knows what has happened since.")
    for file in gone:
        say(f"Deleted: {file}")
    if handover:
        say("This host is retired. On the new one: newsletter restore, serve, and then newsletter move --release.")


def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)], yes: Yes = False, as_json: AsJSON = False
) -> None:
    """Put a backup in the store's place; who left since stays out, and nothing is mailed until it is released."""
    settings = load_settings()
    service = Service(settings)
    database = open_database(settings)
    keys = Keys(service.hasher, service.signer.key_ids, service.journal)
    workshop = database.file.parent if database.file else settings.data_dir
    with alone_on(settings, restoring=True):
        manifest = look_into(file, database, keys, workshop)
        confirm(_question(manifest), yes=yes)
        _save_what_waits(service)
        place = Place(database, service.machine, service.live, workshop)
        restored = restore_backup(
            file, place, keys, now=service.clock(), step=lambda words: err.print(f"[dim]{words} …[/]")
        )
    if as_json:
        print_json(_as_json(manifest) | asdict(restored.prepared) | {"kept_aside": restored.kept_aside})
        return
    for line in _story(restored):
        say(line)


def move(
    release: Annotated[bool, typer.Option("--release", help="Let the store mail, from this machine.")] = False,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Show whether the store may mail from this machine, and what goes out if it does; or let it."""
    service = open_service()
    with service.database.reading() as session:
        holds = open_holds(session)
        going = list(_going_out(session, service))
    if not as_json:
        _say_where_it_stands(holds, going)
    if release and holds:
        _release(service, going, yes=yes)
    if as_json:
        print_json({"held": [asdict(one) for one in holds], "goes_out": going, "released": release and bool(holds)})
    elif release and holds:
        say("Released.")


def _say_where_it_stands(holds: Sequence[OpenHold], going: Sequence[dict[str, Any]]) -> None:
    for hold in holds:
        say(f"Held since {hold.held_at:%Y-%m-%d %H:%M} UTC: {hold.reason}.")
    if not holds:
        say("The store is not held: it mails from where `newsletter serve` runs.")
    if going:
        print_rows(going, ("mailing", "issue", "state", "due", "readers", "live"), title="What goes out")
    else:
        say("No mailing is under way or due within a week.")


def _release(service: Service, going: Sequence[dict[str, Any]], *, yes: bool) -> None:
    readers = sum(one["readers"] for one in going)
    confirm(
        f"Let it mail from this machine? {len(going)} mailings go on or begin, to {readers:,} readers at most. "
        "Be sure that no other copy of the store mails.",
        yes=yes,
    )
    with service.database.writing() as session:
        release_store(session, service.machine, by=COMMAND_LINE, now=service.clock())


def _target(service: Service, to: Path | None) -> Path:
    folder = to or service.settings.data_dir / "backups"
    return folder / name_at(service.clock()) if to is None or to.is_dir() or to.suffix != SUFFIX else to


def _retire(service: Service) -> None:
    """Let no call begin, and wait for those that have."""
    with service.database.writing() as session:
        retire(session, live=service.live, now=service.clock())
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with service.database.writing() as session:
            if not (busy := calls_under_way(session, now=service.clock())):
                return
        err.print(f"[dim]{busy} requests are under way …[/]")
        time.sleep(1)
    raise Refused("requests have been under way for minutes: look at `newsletter mailing list`, then say it again")


def _save_what_waits(service: Service) -> None:
    """Have the store that is about to be put aside write into the journal what it still holds back."""
    try:
        database = service.database
    except Misconfigured:
        # There is none, or one of another shape: nothing of it can be saved.
        return
    if database.after_commit is not None:
        database.after_commit()
    database.close()


def _question(manifest: Manifest) -> str:
    people, mails = manifest.counts.get("subscriber", 0), manifest.counts.get("delivery", 0)
    return (
        f"Restore the backup of {manifest.taken_at:%Y-%m-%d %H:%M} UTC ({people:,} readers, {mails:,} deliveries)? "
        "The present store is kept aside. Who signed up or changed something since is not in it."
    )


def _story(restored: Restored) -> Iterator[str]:
    done = restored.replayed
    yield f"Restored: the store of {restored.manifest.taken_at:%Y-%m-%d %H:%M} UTC."
    if restored.kept_aside:
        yield f"The store of before is kept as {restored.kept_aside}; delete it when you no longer need it."
    yield (
        f"From the journal: {done.left:,} departures, {done.suppressed:,} suppressions, {done.erased:,} erasures, "
        f"{done.calls:,} requests to {done.reached:,} readers, who count as having their issue."
    )
    if restored.prepared.dropped:
        yield f"{restored.prepared.dropped:,} notices that waited are dropped: they may have been mailed since."
    if restored.prepared.unsettled:
        yield (
            f"{restored.prepared.unsettled:,} requests of unknown outcome: proofs before the restore are lost, so you "
            "are asked after the quiet time, whatever the policy (`newsletter mailing settle`)."
        )
    if not done.has_mark:
        yield (
            "THE JOURNAL DOES NOT KNOW THIS BACKUP: if it is not the one that belongs to it, who left since the backup "
            "is mailed again. Put the right one into NEWSLETTER_JOURNAL_DIR and restore once more."
        )
    if done.unreadable:
        shown = ", ".join(done.unreadable[:5])
        yield f"{len(done.unreadable)} lines of the journal cannot be read ({shown}): what they said is not known."
    yield "The store is held: readers can leave and read, nothing is mailed until `newsletter move --release`."


def _going_out(session: Session, service: Service) -> Iterator[dict[str, Any]]:
    states = (MailingState.scheduled, MailingState.freezing, MailingState.running)
    found = select(Mailing).where(col(Mailing.state).in_(states), col(Mailing.live).is_(service.live))
    for one in session.exec(found.order_by(col(Mailing.due_at))):
        if one.state is not MailingState.scheduled or one.due_at <= service.clock() + SOON:
            yield {
                "mailing": one.id,
                "issue": one.issue_id,
                "state": str(one.state),
                "due": _shown(one.due_at),
                "readers": _still_to_mail(session, one, service.clock()),
                "live": one.live,
            }


def _still_to_mail(session: Session, mailing: Mailing, now: datetime) -> int:
    """Count to how many readers a mailing may still go."""
    if mailing.frozen_at:
        return standing_of(session, mailing).pending
    publication = publication_by_id(session, mailing.publication_id)
    meant = matches(session, parse_filter(mailing.audience), home_of(publication))
    return audience_size(session, publication.id, meant, now=now).may_be_mailed


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _as_json(manifest: Manifest) -> dict[str, Any]:
    return manifest.model_dump(mode="json")


def _ids(ids: tuple[str, ...]) -> str:
    return ", ".join(ids) or "(none yet)"


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], object]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
