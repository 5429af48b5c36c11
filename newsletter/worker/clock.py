"""The clock: APScheduler ticks, looks for what is due, and wakes the dispatch threads.

It stores nothing and guarantees nothing: a mailing begins by a compare-and-swap in the database, so that any number of
clocks on any number of machines may tick (DESIGN §4.1).
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import wraps

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from newsletter.delivery.audience import FreezeTerms, freeze
from newsletter.delivery.claims import sweep
from newsletter.delivery.dispatch import Desk
from newsletter.delivery.filling import fill, publications_with_slots
from newsletter.delivery.hearing import purge_hearing
from newsletter.delivery.life import unwind_next, unwinding
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.looking_up import look_up_next
from newsletter.delivery.mailings import begin_due, conclude, hold_the_other_side, mailings_in
from newsletter.delivery.settlement import Settled, settle_due, what_is_due
from newsletter.feedback.bodies import purge as purge_event_calls
from newsletter.feedback.ingest import is_work, last_gap
from newsletter.feedback.protection import protect
from newsletter.feedback.undoing import begin_probes
from newsletter.hosts import store_may_mail
from newsletter.notices.dispatch import tidy
from newsletter.plan_calls import purge_calls
from newsletter.providers.sendgrid_activity import LookedUp
from newsletter.worker.heartbeat import BEAT_SECONDS, Heartbeat
from newsletter.worker.plan_days import end_what_is_over, tell_who_ends_soon
from newsletter.worker.vigil import State
from subscribers.actors import CLOCK
from subscribers.lapsing import lapse


log = structlog.get_logger(__name__)

#: Seconds between two looks at notices, plans that will end, and who never confirmed; none of it is urgent.
TIDY_SECONDS = 60.0
#: Seconds between two looks at what comes back of a mailing that runs.
PROTECT_SECONDS = 5.0
#: Seconds between two looks at requests of unknown outcome; the quiet time before one is settled is hours.
SETTLE_SECONDS = 5.0
#: Seconds between two looks at what the provider's record could be asked; ``looking_up`` keeps its limit.
LOOK_UP_SECONDS = 5.0
#: Off the full hour, when every other cron job of the world asks (SendGrid's own advice for sending).
NIGHTLY = {"hour": 19, "minute": 23}


def _by_a_trusted_clock(job: Callable[["Clock"], None]) -> Callable[["Clock"], None]:
    """Guard a job: leases, due times, plans and what is forgotten all go by the time, and none of it is undone."""

    @wraps(job)
    def guarded(clock: "Clock") -> None:
        if clock.vigil().trusts_clock:
            job(clock)

    return guarded


@dataclass(frozen=True)
class Clock:
    """What the ticks work with. ``wake`` is called when there may be something to dispatch."""

    desk: Desk
    terms: FreezeTerms
    tick_seconds: float
    wake: Callable[[], None]
    #: Brings what stands on the provider's own lists, until the machine stops; every night at a quiet hour (UTC).
    pull_lists: Callable[[Callable[[], bool]], object] | None = None
    #: Hears of ticks, and tells them on, so that somebody notices when there are none.
    heartbeat: Heartbeat | None = None
    #: Asks the provider's record of messages about an attempt.
    ask_record: Callable[[str], LookedUp] | None = None
    #: Looks at the machine itself; without one all is well with it.
    vigil: Callable[[], State] = lambda: State(trusts_clock=True, has_room=True)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> BackgroundScheduler:
        """Start ticking in threads of APScheduler's; the caller shuts the scheduler down."""
        scheduler = BackgroundScheduler(timezone="UTC")
        jobs = {
            self.tick: self.tick_seconds,
            self.freeze_begun: self.tick_seconds,
            self.protect: PROTECT_SECONDS,
            self.tidy_notices: TIDY_SECONDS,
            self.tell_who_ends_soon: TIDY_SECONDS,
            self.forget: TIDY_SECONDS,
            self.begin_probes: TIDY_SECONDS,
            self.settle: SETTLE_SECONDS,
            self.look_up: LOOK_UP_SECONDS,
            self.beat: BEAT_SECONDS,
        }
        for job, seconds in jobs.items():
            # Without a grace time of its own, APScheduler drops a tick that is a second late, and with it the mailing.
            scheduler.add_job(job, "interval", seconds=seconds, misfire_grace_time=None, coalesce=True)
        if self.pull_lists is not None:
            scheduler.add_job(self.pull, "cron", **NIGHTLY, misfire_grace_time=None, coalesce=True)
        scheduler.start()
        return scheduler

    def begin_no_more(self) -> None:
        """End long work after the piece under way; it is gone on with at the next start."""
        self._stopping.set()

    @_by_a_trusted_clock
    def tick(self) -> None:
        """End what is over, take back what was cancelled, fill slots, begin what is due, free what the dead held."""
        now, has_room = self.desk.clock(), self.vigil().has_room
        # First: whose plan was over yesterday must not get what begins today. Where this fails, nothing begins.
        if ended := end_what_is_over(self.desk.database, live=self.desk.claimant.live, now=now):
            log.info("plans ended", readers=ended)
        # Before: who was freed by a cancelled mailing belongs to the one that begins now.
        self._unwind()
        self.fill_slots()
        with self.desk.database.writing() as session:
            for mailing_id in hold_the_other_side(session, live=self.desk.claimant.live, now=now):
                log.warning("mailing held: it was meant for the other side of NOT LIVE", mailing=mailing_id)
            for mailing_id in begin_due(session, live=self.desk.claimant.live, now=now) if has_room else ():
                log.info("mailing begun", mailing=mailing_id)
        with self.desk.database.writing() as session:
            freed, unknown = sweep(session, now=now)
            for mailing_id in mailings_in(session, MailingState.running):
                if end := conclude(session, mailing_id, now=now):
                    log.info("mailing ended", mailing=mailing_id, state=str(end))
        if unknown:
            log.warning("outcome unknown: a worker died during its call", batches=unknown)
        if freed:
            log.info("batches freed from a dead worker", batches=freed)
        self.wake()
        if self.heartbeat is not None and has_room:
            self.heartbeat.ticked()

    def _unwind(self) -> None:
        """Take back what cancelled mailings have left: after a crash, or after the last of their calls has ended."""
        with self.desk.database.reading() as session:
            cancelled = unwinding(session)
        for mailing_id in cancelled:
            more = True
            while more and not self._stopping.is_set():
                with self.desk.database.writing() as session:
                    more = unwind_next(session, mailing_id, now=self.desk.clock())

    def fill_slots(self) -> None:
        """Let ready issues take the slots that come, one publication after the other."""
        with self.desk.database.reading() as session:
            found = publications_with_slots(session)
        for publication_id in found:
            try:
                self._fill(publication_id)
            except Exception:
                # It is tried again at the next tick; what is due already must not wait for it.
                log.exception("the slot was not filled", publication=publication_id)

    def _fill(self, publication_id: int) -> None:
        live, now = self.desk.claimant.live, self.desk.clock()
        with self.desk.database.writing() as session:
            for mailing_id in fill(session, publication_id, self.terms.workshop, live=live, now=now):
                log.info("an issue took the slot", mailing=mailing_id)

    @_by_a_trusted_clock
    def freeze_begun(self) -> None:
        """Freeze every mailing that has begun; also one whose freeze was cut short by a crash."""
        if not self.vigil().has_room:
            return
        with self.desk.database.reading() as session:
            begun = mailings_in(session, MailingState.freezing) if store_may_mail(session) else []
        for mailing_id in begun:
            try:
                self._freeze(mailing_id)
            except Exception:
                # It goes on at the next tick, where it was; the mailings behind it must not wait for it.
                log.exception("the freeze was cut short", mailing=mailing_id)
            self.wake()

    def _freeze(self, mailing_id: int) -> None:
        desk, is_stopping = self.desk, self._stopping.is_set
        freeze(desk.database, mailing_id, self.terms, clock=desk.clock, is_stopping=is_stopping)

    @_by_a_trusted_clock
    def protect(self) -> None:
        """Hold what bounces, is blocked or complained about too much, and open what did well."""
        with self.desk.database.writing() as session:
            held = protect(session, live=self.desk.claimant.live, now=self.desk.clock())
        for mailing_id, lane in held:
            log.warning("a mailbox provider is held", mailing=mailing_id, provider=lane)
        self.wake()

    @_by_a_trusted_clock
    def tell_who_ends_soon(self) -> None:
        """Have readers told whose plan ends soon."""
        if told := tell_who_ends_soon(self.desk.database, live=self.desk.claimant.live, now=self.desk.clock()):
            log.info("renewal notices ordered", readers=told)

    @_by_a_trusted_clock
    def settle(self) -> None:
        """Do what the policies say with requests whose outcome stayed unknown, once their quiet time is over."""
        live, now = self.desk.claimant.live, self.desk.clock()
        with self.desk.database.reading() as session:
            # Only looks, so that nobody waits for a writer that has nothing to do.
            if is_work(session) or not what_is_due(session, live=live, now=now, gap_at=last_gap(session)):
                return
        with self.desk.database.writing() as session:
            if is_work(session):
                # What came meanwhile may hold the proof.
                return
            settled = settle_due(session, live=live, now=now, gap_at=last_gap(session))
        if settled != Settled():
            log.info("unknown outcomes settled by policy", **vars(settled))
            self.wake()

    @_by_a_trusted_clock
    def look_up(self) -> None:
        """Ask the provider's own record about a request whose outcome nobody knows."""
        if self.ask_record is not None:
            look_up_next(self.desk.database, self.ask_record, live=self.desk.claimant.live, clock=self.desk.clock)

    @_by_a_trusted_clock
    def pull(self) -> None:
        """Bring what stands on the provider's own lists."""
        if self.pull_lists is not None:
            self.pull_lists(self._stopping.is_set)

    @_by_a_trusted_clock
    def forget(self) -> None:
        """End what waited for its confirmation too long, a thousand a transaction, and forget calls of long ago."""
        with self.desk.database.writing() as session:
            purge_calls(session, now=self.desk.clock())
            purge_event_calls(session, now=self.desk.clock())
            purge_hearing(session, now=self.desk.clock())
        ended = 1
        while ended:
            with self.desk.database.writing() as session:
                ended = lapse(session, by=CLOCK, now=self.desk.clock())
            if ended:
                log.info("never confirmed, and forgotten", subscriptions=ended)

    @_by_a_trusted_clock
    def begin_probes(self) -> None:
        """Let the next issue try addresses whose pause for soft bounces is over."""
        with self.desk.database.writing() as session:
            if begun := begin_probes(session, by=CLOCK, now=self.desk.clock()):
                log.info("addresses will be tried once more", addresses=begun)

    def beat(self) -> None:
        """Let the watch hear of this machine, as long as the ticks come to their end."""
        if self.heartbeat is not None:
            self.heartbeat.beat(self.desk.database)

    @_by_a_trusted_clock
    def tidy_notices(self) -> None:
        """Deal with what dead workers left of notices, and delete what is old."""
        tidy(self.desk.database, live=self.desk.claimant.live, now=self.desk.clock())


def stop(scheduler: BackgroundScheduler) -> None:
    """Stop ticking and wait for the tick under way."""
    with suppress(RuntimeError):
        scheduler.shutdown(wait=True)
