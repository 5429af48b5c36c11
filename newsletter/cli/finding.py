"""`newsletter subscribers find`: whose subscription it is, from a forwarded mail, an address or a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from newsletter.cli.console import AsJSON, open_service, print_facts, print_json, say
from newsletter.cli.proof import moment
from newsletter.composition import Service
from newsletter.errors import Refused
from newsletter.forwarded_mail import Clues, clues_in
from newsletter.publications import Publication, publication_by_id
from newsletter.signing import ExpiredToken, ForgedToken, Purpose
from subscribers.addresses import mask
from subscribers.errors import UnknownSubscriber
from subscribers.models import SubscriptionState
from subscribers.opt_in import find_request
from subscribers.proofs import LedgerEntry, ledger_of
from subscribers.roster import SubscriptionView, find_by_unsubscribe_id, find_everywhere, find_subscription


#: What the tokens of each kind of link were signed for.
_PURPOSES = {
    "confirm": (Purpose.confirm, Purpose.change_address),
    "read": (Purpose.read,),
    "sign-in": (Purpose.sign_in,),
}
_REQUESTS = frozenset({Purpose.confirm, Purpose.change_address})
#: No mail that anybody forwards is larger.
LARGEST = 50_000_000
#: How Outlook's own files begin (compound file binary), which are no mails as they travel.
_OUTLOOK = b"\xd0\xcf\x11\xe0"
_NOTHING = (
    "the mail holds no link of ours that names a subscription: ask for the mail itself, forwarded as an attachment, "
    "or look for the address with `newsletter subscribers find ADDRESS`"
)


def find(
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="Whose subscriptions to find.")] = None,
    mail: Annotated[Path | None, typer.Option(metavar="FILE.eml", help="A mail of ours that was forwarded.")] = None,
    number: Annotated[int | None, typer.Option("--id", min=1, max=2**31 - 1, help="A subscription's number.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Find subscriptions in all publications: by address, by number, or by a mail that somebody forwarded."""
    if sum(one is not None for one in (address, mail, number)) != 1:
        raise typer.BadParameter("say one of ADDRESS, --mail FILE.eml and --id NUMBER")
    service = open_service()
    clues = _read(mail) if mail else None
    with service.database.reading() as session:
        views = _found(session, service, address, number, clues)
        rows = [_told(session, view, masked=mail is not None) for view in views]
    if not rows:
        raise Refused(
            _NOTHING if mail else "nobody of this address is stored; `subscribers consent` says whether it was"
        )
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print_facts(row | {"since": moment(row["since"]) if row["since"] else ""})
    say(_what_next(rows, masked=mail is not None))


def _read(file: Path) -> Clues:
    """Read a mail's file.

    Raises:
        Refused: It cannot be read, or is no mail.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise Refused(f"{file} is larger than any mail ({LARGEST:,} bytes): save the one mail as .eml")
    if content.startswith(_OUTLOOK):
        raise Refused(
            f"{file} is an Outlook message (.msg): drag it into a new mail, send that to yourself, save as .eml"
        )
    return clues_in(content)


def _found(
    session: Session, service: Service, address: str | None, number: int | None, clues: Clues | None
) -> Sequence[SubscriptionView]:
    if address is not None:
        return find_everywhere(session, address)
    if number is not None:
        return [find_subscription(session, number)]
    return _named_by(session, service, clues) if clues else []


def _named_by(session: Session, service: Service, clues: Clues) -> list[SubscriptionView]:
    """Give the subscriptions that a mail's links name, each once."""
    by_id = (find_by_unsubscribe_id(session, one) for one in clues.unsubscribe_ids)
    by_token = (_behind(session, service, kind, token) for kind, token in clues.tokens)
    return list({view.id: view for view in (*by_id, *by_token) if view}.values())


def _behind(session: Session, service: Service, kind: str, token: str) -> SubscriptionView | None:
    """Find whom a signed link names, also one that has expired: it was made here all the same."""
    for purpose in _PURPOSES[kind]:
        try:
            ids = service.signer.ids(purpose, token, now=service.clock())
        except ExpiredToken as expired:
            ids = expired.ids
        except ForgedToken:
            continue
        if purpose not in _REQUESTS:
            return _subscription(session, ids[0])
        request = find_request(session, ids[0])
        return _subscription(session, request.subscription_id) if request else None
    return None


def _subscription(session: Session, subscription_id: int) -> SubscriptionView | None:
    try:
        return find_subscription(session, subscription_id)
    except UnknownSubscriber:
        return None


@dataclass(frozen=True)
class _Standing:
    """A state in words, and since when."""

    state: str
    since: datetime | None


def _told(session: Session, view: SubscriptionView, *, masked: bool) -> dict[str, Any]:
    """Say of a subscription what whoever answers its reader needs."""
    publication = publication_by_id(session, view.publication_id)
    ledger = ledger_of(session, view.id)
    standing = _standing(view, ledger)
    return {
        "id": view.id,
        "publication": publication.code,
        "publication_name": publication.name,
        "address": (mask(view.email) if masked else view.email) if view.email else "",
        "state": standing.state,
        "since": standing.since,
        "plan": view.plan,
        "joined": _joined(ledger, publication),
    }


def _standing(view: SubscriptionView, ledger: Sequence[LedgerEntry]) -> _Standing:
    if not view.email:
        last = next((one.at for one in reversed(ledger) if one.kind in {"erased", "lapsed"}), view.left_at)
        return _Standing("forgotten", last)
    match view.state:
        case SubscriptionState.confirmed:
            return _Standing("confirmed", view.confirmed_at)
        case SubscriptionState.left:
            return _Standing("left", view.left_at)
        case state:
            return _Standing(state, max((one.at for one in ledger), default=view.created_at))


def _joined(ledger: Sequence[LedgerEntry], publication: Publication) -> str:
    """Say how a subscription began: by a form, an import or a command, and whether the mailbox confirmed it."""
    if not ledger:
        return f"not recorded; ask who kept {publication.code} before"
    first = ledger[0]
    ways = {
        "asked": f"asked for on the form {first.source}",
        "imported": f"imported from {first.detail.get('file', '?')}, row {first.detail.get('row', '?')}: "
        f"{first.detail.get('basis', '')}",
        "added": f"added by an operator ({first.source or first.by})",
    }
    way = ways.get(first.kind, str(first.kind))
    confirmed = next((one for one in ledger if one.kind == "confirmed"), None)
    clicked = f", confirmed {confirmed.at:%Y-%m-%d %H:%M} UTC ({confirmed.source or confirmed.by})" if confirmed else ""
    return f"{first.at:%Y-%m-%d %H:%M} UTC, {way}{clicked}"


def _what_next(rows: Sequence[dict[str, Any]], *, masked: bool) -> str:
    numbers = ", ".join(str(row["id"]) for row in rows)
    shown = f"`newsletter subscribers find --id {rows[0]['id']}` shows the address. " if masked else ""
    several = f"The mail names {len(rows)} subscriptions ({numbers}). " if masked and len(rows) > 1 else ""
    return (
        f"{several}{shown}With it: `subscribers consent ADDRESS` prints the proof, `subscribers unsubscribe ADDRESS` "
        "ends it, `subscribers erase ADDRESS` forgets the person."
    )
