"""Links by mail: a reader asks for a way to read on the web, and only the address on file gets it.

The one place where the archive's pages ask the outbox for a notice; how many one mailbox gets is the outbox's to say.
"""

from collections.abc import Mapping

from sqlmodel import Session

from newsletter.outbox import NoticeKind, NoticeOrder, enqueue
from newsletter.web.pages import Visit
from subscribers.addresses import canonical, parse_address
from subscribers.roster import SubscriptionView


def ask_for_sign_in_link(session: Session, visit: Visit, reader: SubscriptionView) -> None:
    """Have a link mailed that signs this reader in to the archive."""
    _ask_for_link(session, visit, reader, NoticeKind.sign_in, {})


def ask_for_read_link(session: Session, visit: Visit, reader: SubscriptionView, mailing_id: int, title: str) -> None:
    """Have a fresh link mailed to a mail that this reader was sent; ``title`` says which it was."""
    _ask_for_link(session, visit, reader, NoticeKind.read_again, {"mailing_id": str(mailing_id), "title": title})


def _ask_for_link(
    session: Session, visit: Visit, reader: SubscriptionView, kind: NoticeKind, detail: Mapping[str, str]
) -> None:
    order = NoticeOrder(
        kind,
        reader.publication_id,
        reader.id,
        visit.service.live,
        bucket=visit.service.hasher.hash(canonical(parse_address(reader.email))),
        locale=reader.locale,
        detail=detail,
    )
    enqueue(session, order, now=visit.now)
