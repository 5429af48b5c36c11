"""Dispatch of notices: one mail, one call, three short transactions, as ``delivery.dispatch`` has it for batches.

    1. claim        this worker, this attempt; the notice still waits
       the mail     is built outside any transaction
    2. last look    waiting → sending, committed before the first byte leaves
       the call     no transaction is open while it lasts
    3. settle       sending → what the call's end means (``claims.AFTER``)

A crash before 2 is safe to retry. A crash after it leaves ``sending``, which ``claims.sweep`` turns into ``unknown``.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from newsletter.alerts import AlertKind, NewAlert, give_up, raise_alert
from newsletter.alerts import purge as purge_alerts
from newsletter.database import Database
from newsletter.errors import NewsletterError
from newsletter.hosts import store_may_mail
from newsletter.list_headers import list_id, way_out
from newsletter.notices.addressing import Addressee, Gate, addressee_of, lock_reader
from newsletter.notices.claims import (
    NoticeClaim,
    claim_next,
    drop,
    drop_other_side,
    find_claimed,
    in_words,
    is_work,
    move_notice,
    put_back,
    settle,
    sweep,
)
from newsletter.notices.kinds import RULES
from newsletter.notices.letters import Stationery, expires_at, letter_for
from newsletter.notices.rendering import NoticeMail, render_notice
from newsletter.outbox import CONFIRMING, Notice, NoticeState, purge
from newsletter.providers.base import CallEnd, Ending, Message, Provider, Recipient
from newsletter.publications import Publication, publication_by_id
from subscribers.actors import Actor, ActorKind
from subscribers.consent import Proof, record
from subscribers.consent_models import ConsentKind
from subscribers.roster import find_subscription


log = structlog.get_logger(__name__)

#: Seconds between tries to record a call's end; together longer than any short lock or restart of a database.
RECORDING_BREATHS = (0.2, 1.0, 5.0, 15.0, 30.0)
#: Endings that an operator must hear of.
_TOLD = frozenset({Ending.unauthorised, Ending.ambiguous, Ending.refused, Ending.recipients_refused, Ending.too_large})

#: Who acts where a mail leaves: nobody but the clock.
_OUTBOX = Actor(ActorKind.clock, "outbox")


@dataclass(frozen=True)
class NoticeDesk:
    """What a sender of notices works with. Shared by its threads.

    Attributes:
        live: On which side of NOT LIVE it stands: it sends what was meant for that side.
        lease_seconds: How long a claim holds, and a call at most lasts.
        clock: Gives the time in UTC.
    """

    database: Database
    provider: Provider
    stationery: Stationery
    gate: Gate
    live: bool
    lease_seconds: float
    clock: Callable[[], datetime]


@dataclass(frozen=True)
class _Draft:
    """A mail that was built, with everything it was built on."""

    notice: Notice
    addressee: Addressee
    publication: Publication
    mail: NoticeMail


def send_next(desk: NoticeDesk) -> bool:
    """Claim a notice and send it; tell whether there was one, and so may be another."""
    with desk.database.reading() as session:
        if not is_work(session, live=desk.live, now=desk.clock()) or not store_may_mail(session):
            return False
    with desk.database.writing() as session:
        claim = claim_next(session, live=desk.live, lease_until=_lease(desk), now=desk.clock())
    if claim is not None:
        _send(desk, claim)
    return claim is not None


def tidy(database: Database, *, live: bool, now: datetime, alone: bool = False) -> None:
    """Deal with what dead workers left, drop what was meant for the other side of NOT LIVE, delete what is old.

    Args:
        database: Where the notices are.
        live: On which side of NOT LIVE this installation stands.
        now: The time in UTC.
        alone: No other process works on this database: whatever is claimed was claimed by one that is gone.
    """
    with database.writing() as session:
        unknown = sweep(session, now=now, all_of_them=alone)
        dropped = drop_other_side(session, live=live, now=now)
        purge(session, now=now)
        give_up(session, now=now)
        purge_alerts(session, now=now)
    if unknown:
        log.warning("outcome unknown: a worker died during its call", notices=unknown)
    if dropped:
        log.warning("notices dropped: they were meant for the other side of NOT LIVE", notices=dropped)


def _send(desk: NoticeDesk, claim: NoticeClaim) -> None:
    try:
        draft = _draft(desk, claim)
        message = _commit_to_sending(desk, claim, draft) if draft else None
    except Exception as error:
        # Whatever it was, nothing has left yet.
        log.exception("the mail of a notice could not be built", notice=claim.notice_id)
        _settle_surely(desk, claim, CallEnd(Ending.never_left, detail=f"it could not be built: {type(error).__name__}"))
        return
    if message is not None:
        _settle_surely(desk, claim, desk.provider.submit(message))


def _draft(desk: NoticeDesk, claim: NoticeClaim) -> _Draft | None:
    """Build the mail; nothing where the notice is gone or must not leave."""
    with desk.database.reading() as session:
        if (notice := find_claimed(session, claim)) is None:
            return None
        addressee = addressee_of(session, notice, desk.gate)
        publication = publication_by_id(session, notice.publication_id)
    if reason := _exclusion(notice, addressee, desk.clock()):
        with desk.database.writing() as session:
            drop(session, claim, reason, now=desk.clock())
        return None
    mail = render_notice(letter_for(notice, addressee, publication, desk.stationery), desk.stationery.theme)
    return _Draft(notice, addressee, publication, mail)


def _exclusion(notice: Notice, addressee: Addressee, now: datetime) -> str:
    ends = expires_at(notice)
    return addressee.exclusion or ("its link has expired" if ends and ends <= now else "")


def _commit_to_sending(desk: NoticeDesk, claim: NoticeClaim, draft: _Draft) -> Message | None:
    """Take the last look and write down that the call begins; nothing where it must not."""
    call_id = token_urlsafe(16)
    with desk.database.writing() as session:
        lock_reader(session, draft.notice)
        if addressee_of(session, draft.notice, desk.gate) != draft.addressee:
            # Something about the reader changed since: whoever claims it next sees that.
            put_back(session, claim)
            return None
        digest = hashlib.sha256(draft.mail.text.encode()).hexdigest()
        values = {"lease_until": _lease(desk), "call_id": call_id, "text_sha256": digest}
        begins = move_notice(session, claim, NoticeState.sending, **values)
    return _message(draft, desk.stationery, call_id) if begins else None


def _message(draft: _Draft, stationery: Stationery, call_id: str) -> Message:
    publication, reader = draft.publication, draft.addressee.reader
    # RFC 3834 §5.2: what no person wrote says so, and no machine answers it.
    headers = {"Auto-Submitted": "auto-generated"}
    own: dict[str, str] = {}
    if RULES[draft.notice.kind].is_list_mail:
        headers["List-Id"] = list_id(publication)
        own = way_out(publication, stationery.unsubscribe_url(reader), reader.unsubscribe_id)
    recipient = Recipient(
        address=draft.addressee.address,
        # A name is whatever somebody typed into a form: it does not travel to an address that has not confirmed.
        name="",
        headers=own,
        substitutions={},
        custom_args={"notice": str(draft.notice.id), "attempt_id": call_id},
    )
    return Message(
        sender=publication.sender,
        sender_name=publication.name,
        reply_to=publication.reply_to or publication.sender,
        subject=draft.mail.subject,
        html=draft.mail.html,
        text=draft.mail.text,
        recipients=(recipient,),
        headers=headers,
    )


def _settle_surely(desk: NoticeDesk, claim: NoticeClaim, end: CallEnd) -> None:
    """Record a call's end, trying again where the database does not take it: a known answer must not become unknown.

    Repeating is safe, since a state is only moved by the attempt that it belongs to.
    """
    for breath in RECORDING_BREATHS:
        try:
            with desk.database.writing() as session:
                state = settle(session, claim, end, now=desk.clock())
                if state is NoticeState.accepted:
                    _accepted(session, session.get_one(Notice, claim.notice_id), end, desk.clock())
                elif end.ending is Ending.unauthorised:
                    _refused(session, session.get_one(Notice, claim.notice_id), end, desk.clock())
        except SQLAlchemyError as error:
            log.warning(
                "the end of a call could not be recorded yet", notice=claim.notice_id, error=type(error).__name__
            )
            time.sleep(breath)
        else:
            if end.ending in _TOLD:
                log.warning(
                    "a notice needs looking at", notice=claim.notice_id, ending=str(end.ending), status=end.status
                )
            return
    raise NewsletterError(f"notice {claim.notice_id}: the end of its call could not be recorded: {end.ending}")


def _accepted(session: Session, notice: Notice, end: CallEnd, now: datetime) -> None:
    """Prove that a confirming mail was sent, and which, in the transaction that says so."""
    if notice.kind not in CONFIRMING:
        return
    detail = {"notice": str(notice.id), "message_id": end.message_id or "", "text_sha256": notice.text_sha256}
    proof = Proof(ConsentKind.confirm_sent, str(notice.kind), detail, locale=notice.locale)
    record(session, find_subscription(session, notice.subscription_id), proof, by=_OUTBOX, now=notice.ended_at or now)


def _refused(session: Session, notice: Notice, end: CallEnd, now: datetime) -> None:
    """Have an operator told that the key or the account is refused: every other notice waits as well."""
    facts = {"cause": f"status {end.status}", "said": in_words(end)}
    alert = NewAlert(AlertKind.notices_refused, "notices", notice.publication_id, notice.live, facts)
    raise_alert(session, alert, now=now)


def _lease(desk: NoticeDesk) -> datetime:
    return desk.clock() + timedelta(seconds=desk.lease_seconds)
