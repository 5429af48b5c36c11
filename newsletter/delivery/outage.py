"""Outage: each call's end tells whether the provider is there; a mailing waits for it, and at last for a person.

Called by ``dispatch`` with every end, in the transaction that records it. ``openings`` follows what is written here.
"""

import random
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.delivery.accounts import standing_of
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import Telling, move
from newsletter.delivery.models import Mailing
from newsletter.delivery.pacing import Circuit, finds_away
from newsletter.delivery.policies import policy_of
from newsletter.providers.base import CallEnd
from newsletter.publications import publication_by_id, zone_of


def note_end(session: Session, mailing_id: int, end: CallEnd, *, again: bool, now: datetime) -> None:
    """Note whether a call found the provider there; hold the mailing where it has been away for too long.

    A call that this machine could not make says nothing about the provider. Where it is not the first try (``again``)
    an operator is told: once may pass by itself.
    """
    if not end.made:
        if again:
            _tell_of_ours(session, mailing_id, end, now)
        return
    if not finds_away(end) and not session.get_one(Mailing, mailing_id, populate_existing=True).failures:
        return
    mailing = session.get_one(Mailing, mailing_id, with_for_update=True, populate_existing=True)
    before = Circuit(mailing.failures, mailing.away_since, mailing.retry_at)
    # The jitter keeps mailings that lost the provider together from coming back together.
    after = before.after(end, now=now, jitter=random.uniform(1, 1.25))  # noqa: S311 - no secret
    mailing.failures, mailing.away_since, mailing.retry_at = after.failures, after.away_since, after.retry_at
    session.add(mailing)
    session.flush()
    if after.is_over(policy_of(session, mailing.publication_id).away, now):
        _hold(session, mailing, end, now)


def _tell_of_ours(session: Session, mailing_id: int, end: CallEnd, now: datetime) -> None:
    mailing = session.get_one(Mailing, mailing_id)
    facts = {"mailing": str(mailing_id), "issue": str(mailing.issue_id), "reason": end.detail}
    facts["line"] = standing_of(session, mailing).line()
    about = f"mailing {mailing_id}"
    raise_alert(
        session, NewAlert(AlertKind.calls_not_made, about, mailing.publication_id, mailing.live, facts), now=now
    )


def _hold(session: Session, mailing: Mailing, end: CallEnd, now: datetime) -> None:
    since = mailing.away_since or now
    zone = zone_of(publication_by_id(session, mailing.publication_id))
    facts = {
        "since": in_zone(since, zone),
        "hours": f"{(now - since).total_seconds() / 3600:.1f}",
        "calls": str(mailing.failures),
        "last": said(end),
    }
    reason = (
        f"SendGrid has been away since {facts['since']}: {facts['hours']} hours and {facts['calls']} calls without a "
        f"certain answer, the last: {facts['last']}. Look at status.sendgrid.com, this machine's network and "
        f"NEWSLETTER_SENDGRID_URL; `newsletter mailing resume {mailing.id}` tries again at once"
    )
    move(
        session, mailing.id, MailingState.held, now=now, reason=reason, telling=Telling(AlertKind.provider_away, facts)
    )


def said(end: CallEnd) -> str:
    """Say what a call ended with, for people."""
    answer = f"status {end.status}" if end.status else "no answer"
    return f"{answer} ({end.detail})" if end.detail else answer


def in_zone(moment: datetime, zone: ZoneInfo) -> str:
    """Write a time as the publication's people read it."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
