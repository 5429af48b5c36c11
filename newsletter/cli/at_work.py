"""What works while `serve` is up: dispatch, notices, feedback, alerts, clock. Begun together, stopped in order."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic

import structlog

from newsletter.composition import Service
from newsletter.delivery.dispatch import Desk, dispatch_next
from newsletter.feedback.ingest import apply_next
from newsletter.feedback.level import keep_level
from newsletter.feedback.pulling import remove_next
from newsletter.notices.alerting import AlertDesk, tell_next
from newsletter.notices.dispatch import send_next
from newsletter.providers.sendgrid_account import AccountAPI
from newsletter.providers.sendgrid_activity import look_up
from newsletter.worker.clock import Clock, stop
from newsletter.worker.dispatchers import NOTICE_THREADS, Dispatchers
from newsletter.worker.heartbeat import Heartbeat
from newsletter.worker.vigil import Vigil


log = structlog.get_logger(__name__)


def _heed_next(service: Service, api: AccountAPI) -> bool:
    """Apply what the provider said next, else have it take an address off its list; tell whether there was anything."""
    if apply_next(service.database, service.feedback_scene):
        return True
    return remove_next(service.database, api, now=service.clock())


def _dispatch_with_room(service: Service, desk: Desk) -> bool:
    """Dispatch the next batch, where the disk has room for what becomes of it."""
    return not service.room.lack() and dispatch_next(desk)


def tellers(desk: AlertDesk) -> Sequence[Dispatchers]:
    """Give each way to an operator a thread of its own: one that hangs keeps no other waiting."""
    return [Dispatchers(partial(tell_next, desk, way), 1, f"alerts by {way}") for way in desk.ways]


@contextmanager
def working(service: Service, emulator_url: str) -> Iterator[Callable[[], None]]:
    """Dispatch, send notices and tick while the web is up; at the end finish the calls under way and begin no other.

    Gives what ends the work at once: no further call begins.
    """
    provider = service.provider(emulator_url)
    desk = service.desk(provider)
    dispatchers = Dispatchers(
        partial(_dispatch_with_room, service, desk), service.settings.dispatch_threads, "dispatch"
    )
    senders = Dispatchers(partial(send_next, service.notice_desk(provider)), NOTICE_THREADS, "notices")
    # One alone: decisions look at all that is known.
    api = service.account_api(emulator_url)
    listener = Dispatchers(lambda: _heed_next(service, api), 1, "feedback")
    clock = Clock(
        desk,
        service.terms,
        service.settings.tick_seconds,
        dispatchers.wake,
        lambda is_stopping: keep_level(service.database, api, service.feedback_scene, is_stopping),
        Heartbeat(service.heartbeat_url, service.live, service.settings.tick_seconds),
        partial(look_up, api),
        Vigil(service.database, service.room, service.live, service.machine, service.clock).look,
    )
    workers = (dispatchers, senders, listener, *tellers(service.alert_desk(emulator_url)))
    for threads in workers:
        threads.start()
    scheduler = clock.start()

    def begin_no_more() -> None:
        clock.begin_no_more()
        for threads in workers:
            threads.begin_no_more()

    try:
        yield begin_no_more
    finally:
        # An impatient second Ctrl-C must not cut the calls under way; `kill -9` still can.
        for impatience in (signal.SIGINT, signal.SIGTERM):
            signal.signal(impatience, signal.SIG_IGN)
        begin_no_more()
        until = monotonic() + service.settings.stop_grace_seconds
        stop(scheduler)
        left = {threads.name: threads.stop(until=until) for threads in workers}
        _say_what_is_left({name: count for name, count in left.items() if count})


def _say_what_is_left(left: Mapping[str, int]) -> None:
    """Say which calls were not over when the grace was: nobody knows their outcome until an event proves it."""
    if left:
        log.warning(
            "stopped while calls were under way: their batches stay `submitting`, and are unknown at the next start",
            **left,
        )
