"""The rehearsal's stage: a store, secrets and a local SendGrid of its own; the clock, freeze and dispatch of `serve`.

No real key is on it, and of the real store only what ``rehearsal.copying`` took (DESIGN §4.11).
"""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from newsletter.cli.demo_parts import call, own_folder, part
from newsletter.composition import Service
from newsletter.database import Database
from newsletter.delivery.accounts import batch_states
from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.lifecycle import AT_WORK, MailingState
from newsletter.delivery.mailbox_providers import STAND_IN_DOMAINS
from newsletter.delivery.mailings import find_mailing
from newsletter.errors import NewsletterError
from newsletter.migrations import migrate
from newsletter.rehearsal.guard import InventedOnly
from newsletter.rehearsal.outcome import Traffic, times_seen
from newsletter.settings import Settings
from newsletter.worker.clock import Clock
from newsletter.worker.dispatchers import Dispatchers


UNDER_WAY = frozenset({MailingState.scheduled, MailingState.freezing, MailingState.running})
#: Seconds between two looks at how far it is.
LOOK = 0.5
#: Seconds without the end of any request; the local SendGrid answers within one.
LONGEST_WAIT = 300.0


@dataclass(frozen=True)
class RehearsalStage:
    """A service of its own beside a local SendGrid in a process of its own."""

    service: Service
    emulator_url: str


@contextmanager
def rehearsal_stage(real: Service, keep: Path | None, *, record: bool) -> Iterator[RehearsalStage]:
    """Set the stage; with ``record`` the local SendGrid keeps every mail, else counts and ids."""
    with ExitStack() as parts:
        folder = parts.enter_context(own_folder(keep, "rehearsal"))
        settings = _settings(real.settings, folder)
        database = Database(settings.resolved_database_url)
        migrate(database)
        database.close()
        service = Service(settings, real.clock)
        parts.callback(service.database.close)
        emulator = parts.enter_context(part(folder, "emulator", words=() if record else ("--null",)))
        yield RehearsalStage(service, emulator["emulator_url"])


def _settings(real: Settings, folder: Path) -> Settings:
    """Keep of the real settings what shapes a mailing; the rest are defaults, whatever the environment says."""
    kept = ("templates_dir", "batch_size", "dispatch_threads", "tick_seconds", "lease_seconds", "sendgrid_timeout")
    return Settings.model_construct(
        data_dir=folder,
        public_url=real.public_url or f"http://{real.host}:{real.port}",
        allow_list=tuple(f"@{domain}" for domain in sorted(STAND_IN_DOMAINS)) if real.allow_list else (),
        **{name: getattr(real, name) for name in kept},
    )


def play(stage: RehearsalStage, mailing_id: int, on_look: Callable[[int, int], object]) -> None:
    """Let a scheduled mailing run to its end; ``on_look`` hears how many of how many requests are done."""
    service = stage.service
    desk = service.desk(InventedOnly(service.provider(stage.emulator_url)))
    dispatchers = Dispatchers(partial(dispatch_next, desk), service.settings.dispatch_threads, "rehearsal")
    clock = Clock(desk, service.terms, service.settings.tick_seconds, dispatchers.wake)
    dispatchers.start()
    try:
        _tick_until_it_ends(service, clock, mailing_id, on_look)
    finally:
        dispatchers.stop(until=time.monotonic() + service.settings.stop_grace_seconds)


def _tick_until_it_ends(service: Service, clock: Clock, mailing_id: int, on_look: Callable[[int, int], object]) -> None:
    before, since = None, time.monotonic()
    while True:
        with service.database.reading() as session:
            state = find_mailing(session, mailing_id).state
            batches = batch_states(session, mailing_id)
        if state not in UNDER_WAY:
            return
        done = sum(count for one, count in batches.items() if one not in AT_WORK)
        on_look(done, sum(batches.values()))
        if (state, done) != before:
            before, since = (state, done), time.monotonic()
        elif time.monotonic() - since > LONGEST_WAIT:
            raise NewsletterError(f"the rehearsal stands still: no request ended for {LONGEST_WAIT:.0f} s ({batches})")
        clock.tick()
        clock.freeze_begun()
        time.sleep(LOOK)


def traffic_of(stage: RehearsalStage) -> Traffic:
    """Ask the local SendGrid what it took."""
    counts: dict[str, Any] = json.loads(call(f"{stage.emulator_url}/_emulator/counts"))
    seen = times_seen(int(one["custom_args"]["delivery"]) for one in _lines(stage, "custom_args"))
    return Traffic(counts["requests"], counts["bytes"], counts["largest_request"], seen)


def _lines(stage: RehearsalStage, fields: str) -> Iterator[dict[str, Any]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{stage.emulator_url}/_emulator/deliveries?fields={fields}", timeout=60) as answer:
        yield from map(json.loads, answer)
