"""`newsletter init`, `serve` and `emulator`: the commands that stay up, and the one before them."""

import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Annotated

import structlog
import typer
import uvicorn
from filelock import FileLock, Timeout
from sqlalchemy import text

from newsletter.cli.console import AsJSON, print_json, say, say_not_live
from newsletter.composition import Service, load_settings, open_database, shipped
from newsletter.database import Database
from newsletter.delivery.claims import sweep
from newsletter.delivery.dispatch import Desk, dispatch_next
from newsletter.delivery.old_content import hold_the_old
from newsletter.emulator.app import EmulatorSettings
from newsletter.emulator.serving import running as emulator_running
from newsletter.emulator.serving import serve as serve_emulator
from newsletter.errors import Misconfigured
from newsletter.feedback.ingest import apply_next
from newsletter.feedback.level import keep_level
from newsletter.feedback.pulling import remove_next
from newsletter.hosts import arrive, open_holds
from newsletter.link_keys import keep_link_keys, note_link_keys, require_same_link_keys
from newsletter.migrations import migrate
from newsletter.notices.alerting import AlertDesk, tell_next
from newsletter.notices.dispatch import send_next, tidy
from newsletter.providers.sendgrid_account import AccountAPI, AccountRefused
from newsletter.providers.sendgrid_activity import look_up
from newsletter.settings import Settings
from newsletter.web.app import create_app
from newsletter.worker.clock import Clock, stop
from newsletter.worker.dispatchers import NOTICE_THREADS, Dispatchers
from newsletter.worker.heartbeat import Heartbeat
from newsletter.worker.vigil import Vigil
from subscribers.hashing import adopt_peppers, require_same_pepper


log = structlog.get_logger(__name__)

#: How long readers' requests under way have to end when the service is stopped.
PAGES_GRACE_SECONDS = 3

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]


def init(
    forget_link_keys: Annotated[
        bool, typer.Option("--forget-link-keys", help="Let the links die that keys signed which are not here any more.")
    ] = False,
) -> None:
    """Create the store, or bring it to the shape of this version."""
    service = Service(load_settings())
    say_not_live(service)
    database = open_database(service.settings)
    revision = migrate(database)
    with database.writing() as session:
        # Before anything is noted: with a wrong key on its list the store would refuse the right one alone.
        if forget_link_keys:
            keep_link_keys(session, service.signer.key_ids)
        require_same_link_keys(session, service.signer.key_ids, now=service.clock())
    _adopt_peppers(database, service)
    with database.writing() as session:
        note_link_keys(session, service.signer.key_ids, now=service.clock())
    say(f"The store {database.url.render_as_string(hide_password=True)} is at revision {revision}.")


def _adopt_peppers(database: Database, service: Service) -> None:
    """Hash every living address with every pepper: an address under one that is new is met by what follows."""
    more = 1
    while more:
        with database.writing() as session:
            more = adopt_peppers(session, service.hasher, now=service.clock())


def serve(port: Port = None, as_json: AsJSON = False) -> None:
    """Run the service on this machine: readers' pages, clock and dispatch."""
    settings = load_settings()
    with stopped_in_order(), ExitStack() as parts:
        parts.enter_context(alone_on(settings))
        bound = parts.enter_context(listening(settings.host, settings.port if port is None else port))
        url = f"http://{settings.host}:{bound.getsockname()[1]}"
        service = Service(settings.model_copy(update={"public_url": settings.public_url or url}))
        say_not_live(service)
        emulator_url = parts.enter_context(_local_sendgrid(service))
        if emulator_url:
            service = _heard_by(service, emulator_url, url)
        _require_secrets(service)
        _arrive(service)
        _free_what_a_crash_left(service)
        _ask_about_the_old(service)
        begin_no_more = parts.enter_context(_working(service, emulator_url))
        if as_json:
            print_json({"service_url": url, "emulator_url": emulator_url or None, "live": service.live})
        else:
            say(f"Readers' pages: {url}" + (f"    Local SendGrid: {emulator_url}" if emulator_url else ""))
        proxies = service.settings.trusted_proxies
        config = uvicorn.Config(
            create_app(service),
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            # Its own default believes whoever connects from this machine, and an environment variable.
            proxy_headers=bool(proxies),
            forwarded_allow_ips=[one.strip() for one in proxies.split(",")],
            # A reader's request that never ends keeps nobody from stopping the service.
            timeout_graceful_shutdown=PAGES_GRACE_SECONDS,
        )
        _Server(config, begin_no_more).run(sockets=[bound])


class _Server(uvicorn.Server):
    """The web server, which says at once when it is told to stop: no call may begin while it waits for its readers."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Heed a signal to stop."""
        self._on_exit()
        super().handle_exit(sig, frame)


def emulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8025,
    data_dir: Annotated[Path | None, typer.Option(help="Where delivered mails are kept.")] = None,
    null: Annotated[bool, typer.Option("--null", help="Keep counts and ids only; for measuring.")] = False,
    webhook: Annotated[str, typer.Option(help="Where events are posted; `serve` says it by itself.")] = "",
    batch_seconds: Annotated[
        float, typer.Option(min=0, help="How long events are collected before they are posted; SendGrid: 30.")
    ] = 2.0,
    as_json: AsJSON = False,
) -> None:
    """Run the local SendGrid with its inbox page."""
    settings = load_settings()
    ours = replace(_emulator_settings(settings, data_dir), null=null, webhook=webhook, batch_seconds=batch_seconds)

    def on_ready(url: str) -> None:
        if as_json:
            print_json({"emulator_url": url})
        else:
            say(f"Local SendGrid: {url}  (inbox for people, and /v3/mail/send)")

    with stopped_in_order():
        serve_emulator(ours, port, on_ready)


def _emulator_settings(settings: Settings, data_dir: Path | None = None) -> EmulatorSettings:
    return EmulatorSettings(
        data_dir=data_dir or settings.data_dir / "emulator",
        templates_dir=shipped("templates") / "emulator",
        api_key=settings.emulator_key.get_secret_value(),
        batch_seconds=2.0,
    )


@contextmanager
def stopped_in_order() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end a command by way of its clean-up, so that no call under way is cut.

    uvicorn takes the signals while it runs and raises them again afterwards; the default for SIGTERM would then end the
    process at once, and leave every call under way as an unknown outcome.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    with suppress(KeyboardInterrupt):
        yield
    signal.signal(signal.SIGTERM, before)


#: Any number that nothing else of ours locks by: every `serve` on a PostgreSQL shares it, a restore has it alone.
SERVING_LOCK = 7_166_272


@contextmanager
def alone_on(settings: Settings, *, restoring: bool = False) -> Iterator[None]:
    """Hold the one place of a dispatcher on an SQLite file; PostgreSQL has room for many, unless it is restored.

    Raises:
        Misconfigured: The place is taken, or there is no file that could be served.
    """
    database = Database(settings.resolved_database_url)
    if (file := database.file) is None:
        with _among_others(database, restoring=restoring):
            yield
        return
    if not file.exists() and not restoring:
        raise Misconfigured(f"the database {file} does not exist: create it with `newsletter init`")
    lock = FileLock(f"{file}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Misconfigured(f"another `newsletter serve` already runs on {file}: stop it first") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _among_others(database: Database, *, restoring: bool) -> Iterator[None]:
    lock = "pg_try_advisory_lock" if restoring else "pg_try_advisory_lock_shared"
    with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # With the connection the lock ends, however the process does.
        if not connection.execute(text(f"SELECT {lock}(:key)"), {"key": SERVING_LOCK}).scalar():
            raise Misconfigured(
                "a `newsletter serve` runs on this database: stop every one of them first"
                if restoring
                else "this database is being restored: start again when that is done"
            )
        yield
    database.close()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on a port; 0 takes a free one.

    Raises:
        Misconfigured: The port is taken, or the address is not this machine's.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        # Two servers may bind one port until one of them listens.
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise Misconfigured(
            f"cannot listen on {host} port {port} ({error.strerror}): choose another with --port or NEWSLETTER_PORT"
        ) from None
    with bound:
        yield bound


def _heard_by(service: Service, emulator_url: str, url: str) -> Service:
    """Have the local SendGrid post its events here, and believe its key, as an operator sets up the real one."""
    api = service.account_api(emulator_url)
    settings = ("user", "webhooks", "event", "settings")
    try:
        api.patch(*settings, body={"enabled": True, "url": f"{url}/webhooks/sendgrid"})
        key = api.get(*settings, "signed")["public_key"]
    except AccountRefused as refusal:
        log.warning("the local SendGrid posts no events here", why=str(refusal))
        return service
    known = service.settings.sendgrid_webhook_key
    return Service(service.settings.model_copy(update={"sendgrid_webhook_key": (*known, key)}), service.clock)


@contextmanager
def _local_sendgrid(service: Service) -> Iterator[str]:
    """Give the address of the local SendGrid: the one in the settings, else one of our own; empty when live."""
    if service.live or service.settings.emulator_url:
        yield "" if service.live else service.settings.emulator_url
        return
    with emulator_running(_emulator_settings(service.settings), port=service.settings.emulator_port) as url:
        yield url


def _require_secrets(service: Service) -> None:
    # With another pepper no suppressed address would be recognised; with another key every link in mails would be dead.
    with service.database.writing() as session:
        require_same_pepper(session, service.hasher)
        require_same_link_keys(session, service.signer.key_ids, now=service.clock())
        note_link_keys(session, service.signer.key_ids, now=service.clock())


def _arrive(service: Service) -> None:
    """Look whether the store is at home on this machine, and say why it mails nothing where it does not."""
    with service.database.writing() as session:
        if service.database.is_sqlite:
            arrive(session, service.machine, live=service.live, now=service.clock())
        holds = open_holds(session)
    for hold in holds:
        log.warning("HELD: nothing is mailed until `newsletter move --release`", why=hold.reason)


def _free_what_a_crash_left(service: Service) -> None:
    # On SQLite this process holds the lock: whatever is claimed was claimed by one that is gone.
    if not service.database.is_sqlite:
        return
    with service.database.writing() as session:
        freed, unknown = sweep(session, now=service.clock(), all_of_them=True)
    tidy(service.database, live=service.live, now=service.clock(), alone=True)
    if freed or unknown:
        log.warning("the service was not stopped in order", batches_freed=freed, batches_unknown=unknown)


def _ask_about_the_old(service: Service) -> None:
    """Let what was under way when the machine stopped, and became old since, wait for a person."""
    with service.database.writing() as session:
        held = hold_the_old(session, live=service.live, now=service.clock())
    for mailing_id in held:
        log.warning("a mailing is held: its content became old while nothing was mailed", mailing=mailing_id)


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
def _working(service: Service, emulator_url: str) -> Iterator[Callable[[], None]]:
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
        lambda: keep_level(service.database, api, service.feedback_scene),
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
