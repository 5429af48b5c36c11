"""`newsletter init`, `serve` and `emulator`: the commands that stay up, and the one before them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import structlog
import typer
import uvicorn

from newsletter.cli.at_work import working
from newsletter.cli.console import AsJSON, print_json, say, say_not_live
from newsletter.cli.place import alone_on, listening, stopped_in_order
from newsletter.composition import Service, load_settings, open_database, shipped
from newsletter.database import Database
from newsletter.delivery.claims import sweep
from newsletter.delivery.old_content import hold_the_old
from newsletter.emulator.app import EmulatorSettings
from newsletter.emulator.serving import running as emulator_running
from newsletter.emulator.serving import serve as serve_emulator
from newsletter.hosts import arrive, open_holds
from newsletter.link_keys import keep_link_keys, note_link_keys, require_same_link_keys
from newsletter.migrations import migrate
from newsletter.notices.dispatch import tidy
from newsletter.providers.sendgrid_account import AccountRefused
from newsletter.settings import Settings
from newsletter.web.app import create_app
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
        begin_no_more = parts.enter_context(working(service, emulator_url))
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
