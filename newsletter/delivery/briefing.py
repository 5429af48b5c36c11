"""What is going on with a mailing, in one sentence, and what an operator can do next. Pure.

After ``overview``; the command line and the console say the same words.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from newsletter.delivery.durations import in_words
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.overview import Overview


@dataclass(frozen=True)
class Step:
    """Something that an operator can do: what for, and the words of the command."""

    what: str
    command: str


@dataclass(frozen=True)
class Briefing:
    """One sentence about a mailing, what else there is to know, and what to do next."""

    sentence: str
    remarks: tuple[str, ...]
    steps: tuple[Step, ...]


def brief(seen: Overview, zone: tzinfo) -> Briefing:
    """Say what is going on with a mailing; times are those of ``zone``."""
    teller = _Teller(seen, zone)
    return Briefing(teller.sentence(), tuple(teller.remarks()), tuple(teller.steps()))


def rate(per_second: float) -> str:
    """Write a pace: recipients a second, of a slow one those a minute."""
    return f"{per_second:,.0f} a second" if per_second >= 2 or not per_second else f"{per_second * 60:,.0f} a minute"  # noqa: PLR2004


@dataclass(frozen=True)
class _Teller:
    seen: Overview
    zone: tzinfo

    def sentence(self) -> str:
        match self.seen.mailing.state:
            case MailingState.draft:
                return "It is a draft: nothing happens to it."
            case MailingState.scheduled:
                return self._scheduled()
            case MailingState.freezing:
                return (
                    f"Its audience is being decided: {self.seen.account.candidates:,} readers so far. No mail has left."
                )
            case MailingState.running:
                return self._running()
            case MailingState.paused:
                return f"{_capital(self._reason())}: {self._waiting()}."
            case MailingState.held:
                return self._held()
            case MailingState.halted:
                return f"It was stopped by an error: {self._reason()}. {_capital(self._waiting())}; none is lost."
            case MailingState.cancelled:
                return self._cancelled()
            case MailingState.finished:
                return self._finished()

    def remarks(self) -> list[str]:
        said = []
        if self.seen.undo_until and self.seen.mailing.state is not MailingState.running:
            said.append(f"No mail leaves before {self._when(self.seen.undo_until)}, so that it can be undone.")
        said += [f"{lane} is held: {why}." for lane, why in self.seen.held_lanes.items()]
        if self.seen.standing.unknown:
            said.append(
                "Unknown means: the request may have been accepted. Nobody in it is mailed again on a guess; an event "
                "that arrives later proves it."
            )
        if refused := self._refused():
            said.append(f"SendGrid refused {refused:,} recipients' requests for good: {self._why_refused()}.")
        if not self.seen.account.balances:
            said.append("THE ACCOUNT DOES NOT BALANCE: this is an error of ours.")
        return said

    def steps(self) -> list[Step]:
        match self.seen.mailing.state:
            case MailingState.scheduled:
                found = [self._step("take it back", "unschedule")]
            case MailingState.freezing | MailingState.running:
                found = self._while_it_goes()
            case MailingState.paused:
                found = [self._step("let it go on", "resume"), self._cancel()]
            case MailingState.held:
                found = [*self._settling(), *self._releasing(), *self._going_on()]
            case MailingState.halted:
                found = [
                    Step("find what is wrong", "newsletter doctor"),
                    self._step("let it go on, once that is mended", "resume"),
                    self._cancel(),
                ]
            case MailingState.finished | MailingState.cancelled:
                found = [*self._settling(), *self._afterwards()]
            case _:
                found = []
        return [*self._ending_the_wait(), *found]

    def _scheduled(self) -> str:
        due = self.seen.mailing.due_at
        if due > self.seen.now:
            return f"It begins at {self._when(due)}."
        return "It is due and begins as soon as `newsletter serve` sees it; if nothing happens, that is not running."

    def _running(self) -> str:
        standing, seen = self.seen.standing, self.seen
        if seen.undo_until:
            return (
                f"Everything is ready for {standing.recipients:,} recipients; no mail leaves before "
                f"{self._when(seen.undo_until)}, so that it can be undone."
            )
        if seen.away_since:
            again = f" and is asked again at {self._clock(seen.retry_at)}" if seen.retry_at else ""
            return f"SendGrid has not answered since {self._clock(seen.away_since)}{again}; {self._waiting()}."
        if self._waits_in_held_lanes() and not seen.in_flight:
            return f"What may go has gone; {self._waiting()} for a decision about {', '.join(seen.held_lanes)}."
        if seen.next_try_at and not seen.in_flight and not seen.per_second:
            return f"SendGrid does not take our requests now; the next try is at {self._clock(seen.next_try_at)}."
        if seen.first_call_at is None:
            return "Its first mails leave as soon as `newsletter serve` sees it."
        left = f", {in_words(timedelta(seconds=seen.seconds_left))} left" if seen.seconds_left else ""
        done = standing.recipients - standing.pending
        return f"Mails are leaving: {done:,} of {standing.recipients:,} done, {rate(seen.per_second)}{left}."

    def _held(self) -> str:
        standing = self.seen.standing
        if self._waits_in_held_lanes():
            lanes = ", ".join(self.seen.held_lanes)
            return f"What may go has gone; {self._waiting()} for your decision about {lanes}."
        if standing.unknown and not standing.pending:
            return (
                f"It waits for a decision: whether {standing.unknown:,} of {standing.recipients:,} recipients were "
                "reached is unknown."
            )
        return f"It is held and waits for a decision: {self._reason()}."

    def _cancelled(self) -> str:
        by = _capital(self._reason())
        if self.seen.mailing.ended_at is None:
            return f"{by}: no further mail leaves; calls under way ({self.seen.in_flight:,}) end and are recorded."
        if not self.seen.first_call_at:
            return f"{by} before any mail left: nobody was mailed, and the issue can be scheduled again."
        return f"{by} on the way: what was submitted stays; the rest can be mailed by scheduling the issue again."

    def _finished(self) -> str:
        took = ""
        if self.seen.first_call_at and self.seen.last_call_at:
            took = f" after {in_words(self.seen.last_call_at - self.seen.first_call_at)}"
            took += f" ({rate(self.seen.per_second)})" if self.seen.per_second else ""
        if refused := self._refused():
            of_all = f"{refused:,} of {self.seen.standing.recipients:,} recipients"
            return f"It is over{took}, and {of_all} {'was' if refused == 1 else 'were'} not mailed."
        return f"It is over{took}: every recipient is accounted for."

    def _refused(self) -> int:
        """Count the recipients whose requests SendGrid refused for good."""
        return sum(one.recipients for one in self.seen.trouble if one.state is BatchState.rejected)

    def _why_refused(self) -> str:
        first = next(one.detail for one in self.seen.trouble if one.state is BatchState.rejected)
        return first.removesuffix(".")

    def _waiting(self) -> str:
        count = self.seen.standing.pending
        return "nobody waits" if not count else f"{count:,} recipient{'s wait' if count > 1 else ' waits'}"

    def _reason(self) -> str:
        return self.seen.mailing.state_reason.removesuffix(".") or str(self.seen.mailing.state)

    def _while_it_goes(self) -> list[Step]:
        if self.seen.undo_until:
            return self._releasing()
        return [*self._releasing(), self._step("stop it for now", "pause"), self._cancel()]

    def _ending_the_wait(self) -> list[Step]:
        if self.seen.undo_until is None or self.seen.mailing.state is MailingState.cancelled:
            return []
        undo = [] if self.seen.mailing.state is MailingState.scheduled else [self._step("undo it", "unschedule")]
        return [*undo, self._step("do not wait to undo it", "go")]

    def _going_on(self) -> list[Step]:
        # With nothing left to mail it would only be held again.
        if self.seen.standing.unknown and not self.seen.standing.pending:
            return []
        if self._waits_in_held_lanes():
            return [self._cancel()]
        return [self._step("let it go on", "resume"), self._cancel()]

    def _releasing(self) -> list[Step]:
        return [self._step(f"let {lane} go on", f"release --provider {lane}") for lane in self.seen.held_lanes]

    def _waits_in_held_lanes(self) -> bool:
        waiting = {lane for lane, standing in self.seen.by_lane.items() if standing.pending}
        return bool(waiting) and waiting <= self.seen.held_lanes.keys()

    def _settling(self) -> list[Step]:
        if not self.seen.standing.unknown:
            return []
        return [self._step("decide about the unknown, with the evidence of each request", "settle")]

    def _afterwards(self) -> list[Step]:
        issue, standing = self.seen.mailing.issue_id, self.seen.standing
        found = []
        if standing.accepted:
            found.append(Step("see how it arrived", f"newsletter report {issue}"))
        if standing.cancelled or standing.rejected:
            again = f"newsletter mailing schedule {issue} --now"
            first = "once the cause is mended, " if self._refused() else ""
            found.append(Step(f"{first}mail those who were not reached", again))
        return found

    def _cancel(self) -> Step:
        return self._step("cancel what is not yet submitted", "cancel")

    def _step(self, what: str, words: str) -> Step:
        verb, _, rest = words.partition(" ")
        return Step(what, f"newsletter mailing {verb} {self.seen.mailing.id}" + (f" {rest}" if rest else ""))

    def _when(self, moment: datetime) -> str:
        local = moment.astimezone(self.zone)
        away = moment - self.seen.now
        shown = local.strftime("%H:%M:%S" if away < timedelta(hours=12) else "%a %Y-%m-%d %H:%M %Z")
        return f"{shown} (in {in_words(away)})"

    def _clock(self, moment: datetime | None) -> str:
        return moment.astimezone(self.zone).strftime("%H:%M:%S") if moment else "?"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
