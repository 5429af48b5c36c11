"""Filling the slot: the clock lets ready issues take the occurrences that come. After approvals, before it begins them.

Any number of clocks may fill at the same time: a slot is locked by one, and an occurrence is taken once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_
from sqlmodel import Session, col, select

from newsletter.alerts import QUIET
from newsletter.delivery.agenda import LOOK_BACK, free
from newsletter.delivery.binding import bind, lock_slot, replan
from newsletter.delivery.issue_states import ready_issues
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Mailing
from newsletter.delivery.occurrences import DAY, Occurrence
from newsletter.delivery.policies import policy_of
from newsletter.delivery.slot_alerts import Unfilled, tell_unfilled, was_told
from newsletter.delivery.slot_models import WeeklySlot
from newsletter.delivery.variants import Workshop
from newsletter.errors import Refused
from newsletter.issues.models import Issue
from newsletter.publications import Publication, publication_by_id


def publications_with_slots(session: Session) -> list[int]:
    """List the ids of the publications that have a weekly slot."""
    return list(session.exec(select(WeeklySlot.publication_id).order_by(col(WeeklySlot.publication_id))))


def fill(session: Session, publication_id: int, workshop: Workshop, *, live: bool, now: datetime) -> list[int]:
    """Bring what a publication has bound up to date, and let ready issues take what comes; give the new mailings' ids.

    An occurrence is taken a day ahead, or as long before it as the operator is warned that it is empty. One that passed
    while no clock ticked is taken by an issue that was ready for it, and begins or is held by the policy of lateness.
    """
    row = lock_slot(session, publication_id, wait=False)
    if row is None:
        return []
    publication = publication_by_id(session, publication_id)
    replan(session, publication, now=now)
    warning = policy_of(session, publication_id).warning
    return list(_Round(session, publication, workshop, warning, live, now).bound(since=row.set_at))


@dataclass(frozen=True)
class _Round:
    """One look at a publication's slot, under its lock."""

    session: Session
    publication: Publication
    workshop: Workshop
    warning: timedelta
    live: bool
    now: datetime

    def bound(self, *, since: datetime) -> Iterator[int]:
        """Let ready issues take free occurrences, who was ready first the first that comes; give the mailings' ids."""
        since, until = max(since, self.now - LOOK_BACK), self.now + max(self.warning, DAY)
        waiting = deque(ready_issues(self.session, self.publication.id, live=self.live))
        for occurrence in free(self.session, self.publication, live=self.live, since=since, until=until):
            if not waiting or not self._was_ready_for(waiting[0], occurrence):
                self._warn(occurrence)
            elif mailing_id := self._bind_or_tell(waiting[0], occurrence):
                waiting.popleft()
                yield mailing_id
            else:
                # The queue keeps its order: what stands in front must be mended or taken out by a person.
                break

    def _was_ready_for(self, issue: Issue, occurrence: Occurrence) -> bool:
        """Tell whether an issue may take an occurrence: a past one if it was ready and nothing was stopped."""
        if occurrence.at > self.now:
            return True
        was_ready = issue.ready_at is not None and issue.ready_at <= occurrence.at
        return was_ready and not self._was_stopped(occurrence)

    def _was_stopped(self, occurrence: Occurrence) -> bool:
        """Tell whether a person stopped what came then: the next issue must not leave in its place unlooked at."""
        theirs = (col(Mailing.publication_id) == self.publication.id) & col(Mailing.live).is_(self.live)
        came = (col(Mailing.due_at) == occurrence.at) & (col(Mailing.state) == MailingState.cancelled)
        at_its_time = or_(col(Mailing.ended_at).is_(None), col(Mailing.ended_at) >= col(Mailing.due_at))
        return self.session.exec(select(Mailing.id).where(theirs, came, at_its_time).limit(1)).first() is not None

    def _bind_or_tell(self, issue: Issue, occurrence: Occurrence) -> int | None:
        about = f"issue {issue.id} revision {issue.ready_revision_id}"
        if (told := was_told(self.session, self.publication, about, live=self.live)) and told > self.now - QUIET:
            # Looking at it takes a while; once an hour is enough for what a person must mend.
            return None
        try:
            mailing = bind(self.session, issue, occurrence, self.workshop, live=self.live, now=self.now)
        except Refused as refused:
            self._tell(Unfilled(about, occurrence.at, str(refused), issue.id))
            return None
        return mailing.id if mailing else None

    def _warn(self, occurrence: Occurrence) -> None:
        """Tell an operator once of an occurrence that comes soon and for which no issue is ready."""
        about = f"slot of {occurrence.planned}"
        comes_soon = self.now < occurrence.at <= self.now + self.warning
        if comes_soon and not was_told(self.session, self.publication, about, live=self.live):
            self._tell(Unfilled(about, occurrence.at, "no issue is ready"))

    def _tell(self, unfilled: Unfilled) -> None:
        tell_unfilled(self.session, self.publication, unfilled, live=self.live, now=self.now)
