"""The composition: the only place that picks adapters and reads files of the installation. Built once at each edge.

Never by accident (DESIGN §4.11): real readers are mailed only where ``NEWSLETTER_LIVE`` is true and a key is set.
Everywhere else the provider is a SendGrid on loopback, reached without any proxy and with a key of its own.
"""

import hmac
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import yaml
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from pydantic import SecretStr, ValidationError

from newsletter.database import Database, make_private, sqlite_warning
from newsletter.delivery.audience import FreezeTerms
from newsletter.delivery.claims import Claimant
from newsletter.delivery.dispatch import Desk
from newsletter.delivery.requests import Letterhead
from newsletter.delivery.variants import Workshop
from newsletter.errors import Misconfigured
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.hosts import lost_times
from newsletter.journal.entries import Scribe
from newsletter.journal.segments import Journal
from newsletter.migrations import require_current
from newsletter.notices.addressing import Gate
from newsletter.notices.alerting import PATIENCE_SECONDS, AlertDesk
from newsletter.notices.dispatch import NoticeDesk
from newsletter.notices.hooks import Hook, read_hook
from newsletter.notices.letters import Stationery
from newsletter.providers.base import Provider
from newsletter.providers.sendgrid import SendGridProvider
from newsletter.providers.sendgrid_account import AccountAPI
from newsletter.providers.sendgrid_client import SendGridAccount
from newsletter.providers.sendgrid_events import load_key
from newsletter.rendering.themes import Theme, load_notice_theme, load_theme
from newsletter.room import Room
from newsletter.settings import Settings, is_loopback
from newsletter.signing import LinkSigner
from subscribers.hashing import AddressHasher


NOT_LIVE = "NOT LIVE: no real reader is mailed; the local SendGrid takes every mail"


def utc_now() -> datetime:
    """Give the time; the clock of every edge."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Service:
    """The parts of an installation, as its settings choose them; each is built when it is first asked for."""

    settings: Settings
    clock: Callable[[], datetime] = utc_now

    @property
    def live(self) -> bool:
        """Whether real readers are mailed."""
        return self.settings.mails_real_readers

    @cached_property
    def database(self) -> Database:
        """The store, of the shape that this version knows.

        Raises:
            Misconfigured: It is empty, older or newer, or its address is wrong.
        """
        database = open_database(self.settings)
        require_current(database)
        return self._journalled(database)

    def _journalled(self, database: Database) -> Database:
        database.after_commit = Scribe(database, lambda: self.journal).catch_up
        return database

    @cached_property
    def journal(self) -> Journal:
        """What outlives the store: who left, who must not be mailed, who was mailed."""
        return Journal(self.settings.resolved_journal_dir, self.hasher)

    @cached_property
    def room(self) -> Room:
        """The disks that must keep a reserve: of the data folder, the store and the journal."""
        file = self.database.file
        stores = (file.parent,) if file else ()
        folders = (self.settings.data_dir, *stores, self.settings.resolved_journal_dir)
        return Room(folders, self.settings.disk_reserve_percent, self.settings.disk_reserve_mb)

    @cached_property
    def machine(self) -> str:
        """This machine, as stores know it."""
        return machine_of(self.settings)

    @cached_property
    def workshop(self) -> Workshop:
        """What issues are rendered with."""
        theme = load_theme(shipped("templates"), self.settings.templates_dir)
        return Workshop(theme, self.settings.public_url)

    @cached_property
    def hasher(self) -> AddressHasher:
        """What keeps suppressed addresses without keeping them."""
        return AddressHasher(*_secrets(self.settings, self.settings.address_pepper, "pepper"))

    @cached_property
    def signer(self) -> LinkSigner:
        """What signs links that work for a time."""
        return LinkSigner(_secrets(self.settings, self.settings.link_key, "link-key"), lambda: self.lost_times)

    @cached_property
    def lost_times(self) -> Sequence[tuple[datetime, datetime]]:
        """The times that restores lost. Nothing is restored while anybody reads a link."""
        with self.database.reading() as session:
            return lost_times(session)

    @cached_property
    def event_keys(self) -> tuple[EllipticCurvePublicKey, ...]:
        """The keys with which the provider may sign its events; without one no call is believed.

        Raises:
            Misconfigured: One is no such key.
        """
        try:
            return tuple(load_key(key) for key in self.settings.sendgrid_webhook_key)
        except ValueError as error:
            raise Misconfigured(
                f"NEWSLETTER_SENDGRID_WEBHOOK_KEY: copy the key as SendGrid shows it, in one line ({error})"
            ) from None

    @property
    def feedback_scene(self) -> Scene:
        """What the provider's events are applied with now."""
        return Scene(self.hasher, PROVIDER, self.clock(), self.live)

    @cached_property
    def terms(self) -> FreezeTerms:
        """What this installation adds to a freeze."""
        return FreezeTerms(self.workshop, self.settings.allow_list, self.settings.batch_size)

    @property
    def letterhead(self) -> Letterhead:
        """What this installation puts on every request."""
        return Letterhead(self.settings.public_url, self.signer, self.settings.allow_list)

    @cached_property
    def notice_theme(self) -> Theme:
        """What notices are rendered with."""
        return load_notice_theme(shipped("templates"), self.settings.templates_dir)

    @property
    def stationery(self) -> Stationery:
        """What notices are written with."""
        return Stationery(self.notice_theme, self.signer, self.settings.public_url)

    def alert_desk(self, emulator_url: str) -> AlertDesk:
        """Give a desk from which operators are told, through a provider that is not waited for as long as for issues.

        Raises:
            Misconfigured: A hook cannot be read, or is not on this machine while NOT LIVE.
        """
        words = yaml.safe_load((shipped("templates") / "alerts" / "words.yaml").read_text(encoding="utf-8"))
        account = self._account(emulator_url)
        provider = SendGridProvider(replace(account, timeout=min(account.timeout, PATIENCE_SECONDS)))
        addresses = self.settings.alert_mail
        return AlertDesk(self.database, provider, addresses, self._alert_hooks, words, self.live, self.clock)

    @property
    def _alert_hooks(self) -> tuple[Hook, ...]:
        try:
            hooks = tuple(read_hook(one) for one in self.settings.alert_hooks.get_secret_value().split())
        except ValueError as error:
            raise Misconfigured(f"NEWSLETTER_ALERT_HOOKS: {error}") from None
        if not self.live and any(not is_loopback(urlsplit(one.url).hostname or "") for one in hooks):
            structlog.get_logger(__name__).warning("NOT LIVE: hooks that are not on this machine are not called")
            return tuple(one for one in hooks if is_loopback(urlsplit(one.url).hostname or ""))
        return hooks

    @property
    def heartbeat_url(self) -> str:
        """The watch address; NOT LIVE only one on this machine, so that a copy does not answer for the original."""
        url = self.settings.heartbeat_url.get_secret_value()
        if url and not self.live and not is_loopback(urlsplit(url).hostname or ""):
            structlog.get_logger(__name__).warning("NOT LIVE: the heartbeat's address is not on this machine")
            return ""
        return url

    @property
    def gate(self) -> Gate:
        """What decides, beside the reader, whether a notice may leave."""
        return Gate(self.hasher, self.settings.allow_list)

    def desk(self, provider: Provider) -> Desk:
        """Give a desk from which this process dispatches to a provider."""
        claimant = Claimant(f"{socket.gethostname()}:{os.getpid()}", self.live, self._lease_seconds)
        return Desk(self.database, provider, claimant, self.letterhead, self.clock, self.journal)

    def notice_desk(self, provider: Provider) -> NoticeDesk:
        """Give a desk from which this process sends notices through a provider."""
        return NoticeDesk(
            self.database, provider, self.stationery, self.gate, self.live, self._lease_seconds, self.clock
        )

    @property
    def _lease_seconds(self) -> float:
        # A call under way must not be taken for one whose worker died.
        return self.settings.lease_seconds + self.settings.sendgrid_timeout

    def provider(self, emulator_url: str) -> Provider:
        """Choose who takes our mail: SendGrid where real readers are mailed, else the local one at this address."""
        return SendGridProvider(self._account(emulator_url))

    def account_api(self, emulator_url: str = "", *, patience: float | None = None) -> AccountAPI:
        """Choose whose account is asked about: SendGrid's where real readers are mailed, else the local one's.

        Without an address the local one is where the settings say, or where `serve` starts it. With patience no answer
        is waited for longer than so many seconds.

        Raises:
            Misconfigured: `serve` starts the local SendGrid on whichever port is free, so nobody knows where it is.
        """
        account = self._account(emulator_url or self.local_sendgrid_url)
        return AccountAPI(replace(account, timeout=min(account.timeout, patience or account.timeout)))

    @property
    def local_sendgrid_url(self) -> str:
        """Where the local SendGrid is for a command beside `serve`; empty when live.

        Raises:
            Misconfigured: `serve` starts it on whichever port is free, so nobody knows where it is.
        """
        if self.live:
            return ""
        if not self.settings.emulator_url and not self.settings.emulator_port:
            raise Misconfigured("set NEWSLETTER_EMULATOR_URL to where the local SendGrid listens")
        return self.settings.emulator_url or f"http://127.0.0.1:{self.settings.emulator_port}"

    def _account(self, emulator_url: str) -> SendGridAccount:
        settings = self.settings
        if self.live:
            return SendGridAccount(
                settings.sendgrid_url, settings.sendgrid_api_key, settings.sendgrid_timeout, direct=False
            )
        return SendGridAccount(emulator_url, settings.emulator_key, settings.sendgrid_timeout, direct=True)


def load_settings() -> Settings:
    """Read the settings from the environment and ``.env``.

    Raises:
        Misconfigured: A value cannot be used; the sentence names each variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{_variable(one['loc'])}: {one['msg']}" for one in error.errors(include_input=False))
        raise Misconfigured(f"settings: {wrong}") from None


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "?"
    return name.upper() if name.lower() == "sendgrid_api_key" else f"NEWSLETTER_{name.upper()}"


def open_database(settings: Settings) -> Database:
    """Open the store, whatever its shape; for `init`, and for everything else through :class:`Service`."""
    if not settings.database_url:
        _make_folder(settings.data_dir)
    if (warning := sqlite_warning()) and settings.resolved_database_url.startswith("sqlite"):
        structlog.get_logger(__name__).warning(warning)
    return Database(settings.resolved_database_url)


def _make_folder(folder: Path) -> None:
    """Make the data folder for its owner alone; one that is there keeps what its owner has chosen."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def shipped(folder: str) -> Path:
    """Find a data folder that comes with the service: in the wheel, else beside the packages in the source tree."""
    package = Path(__file__).parent
    packed = package / f"_{folder}"
    return packed if packed.is_dir() else package.parent / folder


def _secrets(settings: Settings, said: SecretStr, name: str) -> tuple[bytes, ...]:
    """Take secrets from a setting, else from their file in the data folder, which is made the first time."""
    if words := said.get_secret_value():
        return tuple(word.strip().encode() for word in words.split(",") if word.strip())
    file = settings.data_dir / name
    if not file.exists():
        _make_folder(settings.data_dir)
        made = file.with_suffix(f".{secrets.token_hex(4)}")
        make_private(made)
        made.write_text(secrets.token_urlsafe(32))
        # A hard link fails where another process was first; then its secret is the one.
        with suppress(FileExistsError):
            os.link(made, file)
        made.unlink()
    if not (lines := file.read_text().split()):
        raise Misconfigured(f"{file} is empty: restore it from a backup, or set NEWSLETTER_{_SETTING_OF[name]}")
    return tuple(line.encode() for line in lines)


#: /etc/machine-id is hashed with a key of the application before it is kept anywhere (man 5 machine-id).
_OF_MACHINES = b"newsletter: the machine that a store lives on"
_MACHINE_ID = Path("/etc/machine-id")
#: What stands in an image that no machine has started from yet (man 5 machine-id).
_NO_ID = "uninitialized"


def machine_of(settings: Settings, system_id: Path = _MACHINE_ID) -> str:
    """Name this machine by a keyed hash: of the setting, of the system's id, else of its name in the network.

    Nothing that lies in the data folder names it, since that is copied with the store.
    """
    found = system_id.read_text().strip() if system_id.is_file() else ""
    words = settings.machine_id or (found if found != _NO_ID else "") or f"host {socket.gethostname()}"
    return hmac.digest(_OF_MACHINES, words.encode(), "sha256").hex()[:32]


_SETTING_OF = {"pepper": "ADDRESS_PEPPER", "link-key": "LINK_KEY"}


def configure_logging(*, verbose: bool = False) -> None:
    """Set up logs as lines of key=value on standard error. No line holds an address (DESIGN §4.9)."""
    level = logging.DEBUG if verbose else logging.INFO
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # At its debug level the SendGrid client writes the key and the whole request.
    logging.getLogger("python_http_client").setLevel(logging.WARNING)
    # It warns of every tick that finds the last one still at work, which is by design here.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
