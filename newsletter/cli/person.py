"""Everything held of a person as one document, from the people's tables, the mailings and the outbox. Read-only."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlmodel import Session

from newsletter.composition import Service
from newsletter.delivery.history import deliveries_to, exclusions_from
from newsletter.delivery.panel import held_of
from newsletter.feedback.undoing import said_of
from newsletter.outbox import notices_to
from newsletter.publications import Publication, list_publications
from subscribers.holdings import Holdings, holdings_of


def document_of(session: Session, service: Service, address: str, *, now: datetime) -> dict[str, Any]:
    """Gather everything that is held of an address.

    Raises:
        InvalidAddress: What was typed is no address.
        OtherPepper: The store was hashed with another pepper.
    """
    held = holdings_of(session, address, hasher=service.hasher)
    publications = {one.id: one for one in list_publications(session)}
    ids = [one["id"] for one in held.subscriptions]
    return {
        "address": address,
        "gathered_at": now,
        "person": held.person,
        "subscriptions": [_subscription(one, publications, service) for one in held.subscriptions],
        "suppressions": [_named(one, publications) for one in held.suppressions],
        "mentions_in_proofs_of_others": [_named(one, publications) for one in held.mentions],
        "deliveries": [asdict(one) for one in deliveries_to(session, ids)],
        "left_out_of_mailings": [asdict(one) for one in exclusions_from(session, ids)],
        "feedback": said_of(session, {one["subscriber_id"] for one in held.subscriptions}),
        "test_panel": [_named(one.model_dump(), publications) for one in held_of(session, {address, *_own(held)})],
        "notices": [_named(one.model_dump(), publications) for one in notices_to(session, ids)],
    }


def _own(held: Holdings) -> set[str]:
    """Give the address as the person's own row has it."""
    return {held.person["email"], held.person["address_typed"]} if held.person else set()


def _subscription(one: Mapping[str, Any], publications: Mapping[int, Publication], service: Service) -> dict[str, Any]:
    link = service.letterhead.unsubscribe_url(one["unsubscribe_id"])
    return {**_named(one, publications), "unsubscribe_url": link}


def _named(row: Mapping[str, Any], publications: Mapping[int, Publication]) -> dict[str, Any]:
    """Say a row's publication by its name; a suppression without one holds everywhere."""
    found = publications.get(row["publication_id"])
    return {**row, "publication": found.code if found else None, "publication_name": found.name if found else None}
