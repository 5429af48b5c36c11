"""`newsletter subscribers consent`, `export-person` and `erase`: what a person may ask of who holds their data."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import structlog
import typer
from sqlmodel import Session

from newsletter.cli.console import AsJSON, PublicationCode, Yes, confirm, open_service, print_json, say
from newsletter.cli.person import document_of
from newsletter.cli.proof import Proof, heading, lines_of, lines_of_mentions, lines_of_suppressions
from newsletter.composition import Service
from newsletter.database import make_private
from newsletter.delivery.history import count_deliveries
from newsletter.delivery.panel import forget as leave_panel
from newsletter.emulator.record import Record
from newsletter.errors import Refused
from newsletter.feedback.bodies import forget_addresses
from newsletter.outbox import cancel
from newsletter.publications import list_publications, publication_by_id, publication_named
from newsletter.scrubbing import scrub
from subscribers.actors import COMMAND_LINE
from subscribers.addresses import mask, parse_address
from subscribers.erasure import Erasure
from subscribers.erasure import erase as erase_person
from subscribers.forgetting import PERSONAL_COLUMNS
from subscribers.holdings import Holdings, holdings_of
from subscribers.proofs import ledger_of
from subscribers.roster import find_everywhere


log = structlog.get_logger(__name__)

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS")]


def consent(address: AddressArgument, publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """Print the proof of consent: what was shown, asked, confirmed and withdrawn, in all publications or one."""
    service = open_service()
    with service.database.reading() as session:
        only = publication_named(session, publication).id if publication else None
        codes = {one.id: one.code for one in list_publications(session)}
        proofs = [one for one in _proofs(session, address) if only in {None, one.publication.id}]
        held = holdings_of(session, address, hasher=service.hasher)
    suppressions = [one for one in held.suppressions if only in {None, one["publication_id"] or only}]
    mentions = [one for one in held.mentions if only in {None, one["publication_id"]}]
    if as_json:
        print_json({"consent": [_as_json(one) for one in proofs], "suppressions": suppressions, "mentions": mentions})
        return
    say(heading(parse_address(address).email, service.clock()))
    for proof in proofs:
        say("\n" + "\n".join(lines_of(proof)))
    rest = [*lines_of_suppressions(suppressions, codes), *lines_of_mentions(mentions, codes)]
    if not proofs:
        rest = ["Nobody of this address is stored: there is no proof, and none is needed.", *rest]
    if rest:
        say("\n" + "\n".join(rest))


def _proofs(session: Session, address: str) -> Iterator[Proof]:
    for view in find_everywhere(session, address):
        yield Proof(publication_by_id(session, view.publication_id), view, ledger_of(session, view.id))


def _as_json(proof: Proof) -> dict[str, Any]:
    shown = asdict(proof.view)
    # The link acts for its reader: it belongs in that reader's mail only.
    shown.pop("unsubscribe_id")
    about = {"publication": proof.publication.code, "time_zone": proof.publication.time_zone}
    return {**about, "subscription": shown, "ledger": [asdict(one) for one in proof.ledger]}


def export_person(
    address: AddressArgument,
    out: Annotated[Path | None, typer.Option(help="Write into this file, which only you can read.")] = None,
) -> None:
    """Write everything that is held of a person as one JSON document, to be given to that person alone."""
    service = open_service()
    with service.database.reading() as session:
        document = document_of(session, service, address, now=service.clock())
    written = orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2) + b"\n"
    if out is None:
        typer.echo(written, nl=False)
        return
    make_private(out)
    # It may have been there before.
    out.write_bytes(written)
    counts = {name: len(value) for name, value in document.items() if isinstance(value, list)}
    say(f"{out}: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) + ".")


def erase(address: AddressArgument, yes: Yes = False) -> None:
    """Forget a person in every publication, and keep the address from ever being imported or mailed again."""
    service = open_service()
    masked = mask(parse_address(address).email)
    with service.database.reading() as session:
        goes, words = _what_goes(session, service, address)
    for line in goes:
        say(line)
    confirm(f"Erase {masked}? It cannot be undone.", yes=yes)
    with service.database.writing() as session:
        now = service.clock()
        done = erase_person(session, address, hasher=service.hasher, by=COMMAND_LINE, now=now)
        cancel(session, done.subscription_ids, reason="erased", now=now)
        forget_addresses(session, words)
        leave_panel(session, words)
    log.info("a person was erased", subscriptions=len(done.subscription_ids), ended=done.ended)
    say(_what_is_done(masked, done))
    scrubbed = scrub(service.database, words, sorted([*PERSONAL_COLUMNS, "event_call", "panel_address"]))
    _forget_trial_mails(service, words)
    if not scrubbed:
        raise Refused(
            "the person is erased, but traces may be left in the database's files, since another process reads them: "
            "say the same command again in a minute"
        )
    say("Nothing is left in the database's files." if service.database.is_sqlite else _POSTGRES)


_POSTGRES = (
    "The space of the rows is free to be written over; archives of the write-ahead log and backups still hold them: "
    "docs/retention.md."
)


def _what_goes(session: Session, service: Service, address: str) -> tuple[list[str], frozenset[str]]:
    """State what erasing an address ends; and give the words that must be gone after it."""
    parsed = parse_address(address)
    held = holdings_of(session, address, hasher=service.hasher)
    words = {parsed.typed, parsed.email, parsed.key}
    if held.person is None:
        goes = ["Nobody of this address is stored; it will be suppressed everywhere, so that no import brings it in."]
    else:
        words |= {held.person["address_typed"], held.person["email"], *_proven(held)}
        counted = count_deliveries(session, [one["id"] for one in held.subscriptions])
        goes = [
            f"{publication_by_id(session, one['publication_id']).code}: {one['state']}, plan {one['plan']}; "
            f"deliveries that stay as bare numbers: {counted[one['id']]:,}."
            for one in held.subscriptions
        ]
    if held.mentions:
        goes.append(f"It also goes from the proofs of readers who have another address; places: {len(held.mentions)}.")
    return goes, frozenset(word for word in words if word)


def _proven(held: Holdings) -> Iterator[str]:
    """Give the person's addresses as the proofs have them, also those of before."""
    entries = (entry for one in held.subscriptions for entry in one["ledger"] if entry["evidence"])
    for entry in entries:
        yield from (entry["evidence"]["address_typed"], entry["evidence"]["address_before"])


def _what_is_done(masked: str, done: Erasure) -> str:
    if not done.was_stored:
        kept = (
            "is suppressed everywhere from now on" if done.is_newly_suppressed else "was suppressed everywhere already"
        )
        return f"{masked} was not stored, and {kept}."
    return (
        f"{masked} is erased (subscriptions: {len(done.subscription_ids)}, of them live: {done.ended}). What stays is "
        "a ledger that points at nobody, and a keyed hash that keeps the address from being mailed."
    )


def _forget_trial_mails(service: Service, words: frozenset[str]) -> None:
    """Forget what the local SendGrid of this data folder recorded while NOT LIVE."""
    folder = service.settings.data_dir / "emulator"
    if not (folder / "record.db").exists():
        return
    with closing(Record(folder)) as record:
        gone = sum(record.forget(word) for word in words)
    if gone:
        say(f"Trial mails to it that are gone from the local SendGrid's record: {gone:,}.")
