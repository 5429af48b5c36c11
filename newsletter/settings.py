"""The settings of an installation, read from the environment and ``.env``: floor two.

Every setting has a default, so that the service runs without any account: SQLite in a folder, and a local
SendGrid as the provider. ``.env.example`` and ``docs/settings.md`` list the same names; a test holds the
three equal.
"""

import base64
import ipaddress
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from subscribers.client_evidence import ClientEvidence
from subscribers.hashing import MIN_SECRET_BYTES


#: As the specification of Standard Webhooks bounds secrets.
HOOK_SECRET_BYTES = range(24, 65)


class Settings(BaseSettings):
    """What an operator can set. Environment variables carry the prefix ``NEWSLETTER_``."""

    model_config = SettingsConfigDict(
        env_prefix="NEWSLETTER_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = Field(Path(".newsletter"), description="Folder for everything that is kept on this machine.")
    database_url: str = Field(
        "", description="Database address; empty means an SQLite file in the data folder. PostgreSQL: postgresql://…"
    )
    journal_dir: Path | None = Field(
        None,
        description="Folder of the journal of departures and calls, best on another disk; empty: in the data folder.",
    )
    machine_id: str = Field(
        "", description="What names this machine, for containers; empty: /etc/machine-id, else the host name."
    )
    disk_reserve_percent: float = Field(
        5.0, ge=0, lt=100, description="Below this share of free disk nothing new is mailed until there is room."
    )
    disk_reserve_mb: int = Field(200, ge=0, description="The same in megabytes; the larger of the two counts.")
    live: bool = Field(default=False, description="Real readers are mailed only when this is true and a key is set.")
    sendgrid_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("SENDGRID_API_KEY", "sendgrid_api_key"),
        description="The SendGrid key. Used only when NEWSLETTER_LIVE is true.",
    )
    sendgrid_url: str = Field(
        "https://api.sendgrid.com",
        description="SendGrid's address when live; https://api.eu.sendgrid.com for the EU host.",
    )
    sendgrid_timeout: float = Field(
        60.0, gt=0, le=600, description="Seconds to wait for SendGrid's answer before the outcome counts as unknown."
    )
    sendgrid_webhook_key: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Public keys of SendGrid's signed events, by commas. NOT LIVE the local SendGrid's own is taken.",
    )
    emulator_url: str = Field(
        "",
        description="Local SendGrid to deliver to when not live; empty: `serve` starts its own. Loopback only.",
    )
    emulator_key: SecretStr = Field(SecretStr("SG.local"), description="The key the local SendGrid asks for.")
    emulator_port: int = Field(8025, ge=0, le=65535, description="Port of the local SendGrid that `serve` starts.")
    allow_list: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses and @domains, comma-separated. When set, nobody else is mailed: for staging copies.",
    )
    alert_mail: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses that alerts are mailed to, comma-separated; empty: to nobody."
    )
    alert_hooks: SecretStr = Field(
        SecretStr(""),
        description="Hooks that alerts are posted to, by spaces: https://…#whsec_…, feishu+…, wecom+…, dingtalk+….",
    )
    heartbeat_url: SecretStr = Field(
        SecretStr(""), description="Address that is fetched each minute while mailings could begin; empty: none."
    )
    host: str = Field("127.0.0.1", description="Address that `serve` listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that `serve` listens on; 0 takes a free one.")
    public_url: str = Field(
        "",
        max_length=42,
        description="Address at which readers reach this service, https when live; empty: where `serve` listens.",
    )
    address_pepper: SecretStr = Field(
        SecretStr(""),
        description="Secrets for hashes of addresses, oldest first, by commas; empty: `pepper` in the data folder.",
    )
    link_key: SecretStr = Field(
        SecretStr(""),
        description="Secrets of links that expire, oldest first, with commas; empty: `link-key` in the data folder.",
    )
    plan_hook_secret: SecretStr = Field(
        SecretStr(""),
        description="Secrets (whsec_…, by commas) that a payment system signs POST /webhooks/plans with; empty: none.",
    )
    client_evidence: ClientEvidence = Field(
        ClientEvidence.truncated,
        description="What the proof of consent keeps of a reader's IP address and browser: full, truncated or off.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses of reverse proxies whose X-Forwarded-For is believed, with commas; empty: nobody's.",
    )
    templates_dir: Path | None = Field(
        default=None,
        description="Folder whose `email/` and `notices/` are laid over ours: templates, theme.yaml, words.yaml.",
    )
    batch_size: int = Field(1000, ge=1, le=1000, description="Recipients in one request; SendGrid takes 1000 at most.")
    dispatch_threads: int = Field(4, ge=1, le=64, description="Requests under way at the same time.")
    tick_seconds: float = Field(
        1.0, gt=0, le=60, description="Seconds between two looks of the clock for due mailings."
    )
    stop_grace_seconds: float = Field(
        75.0,
        ge=0,
        le=600,
        description="Seconds that calls under way have to end when the service is stopped; more than the time-out.",
    )
    lease_seconds: float = Field(
        60.0, gt=0, description="Seconds after which a claimed batch whose worker is gone is taken by another."
    )

    @field_validator("allow_list", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        entries = tuple(part.strip().casefold() for part in value.split(",") if part.strip())
        # Closed where in doubt: a list that was meant and names nobody must not let everybody through.
        if not entries or not all("@" in entry for entry in entries):
            raise ValueError("write addresses and @domains, comma-separated; leave the setting out to mail everybody")
        return entries

    @field_validator("sendgrid_webhook_key", "alert_mail", mode="before")
    @classmethod
    def _are_words(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("address_pepper", "link_key")
    @classmethod
    def _is_secret(cls, value: SecretStr) -> SecretStr:
        words = [word.strip() for word in value.get_secret_value().split(",")]
        if words != [""] and any(len(word.encode()) < MIN_SECRET_BYTES for word in words):
            raise ValueError(f"each secret needs at least {MIN_SECRET_BYTES} characters; separate several by commas")
        return value

    @field_validator("plan_hook_secret")
    @classmethod
    def _is_webhook_secret(cls, value: SecretStr) -> SecretStr:
        for word in _words(value):
            try:
                # With or without its padding, as senders write it; more than is missing would be refused.
                plain = word.removeprefix("whsec_").rstrip("=")
                key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
            except ValueError:
                key = b""
            if len(key) not in HOOK_SECRET_BYTES:
                raise ValueError("write each secret as whsec_ and the base64 of 24 to 64 bytes; several by commas")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for one in filter(None, map(str.strip, value.split(","))):
            try:
                ipaddress.ip_network(one, strict=False)
            except ValueError:
                raise ValueError(f"{one!r} is no IP address or network: write 127.0.0.1 or 10.0.0.0/8") from None
        return value

    @field_validator("sendgrid_api_key", "emulator_key", mode="before")
    @classmethod
    def _fits_a_header(cls, value: object) -> object:
        # A file that a secret is mounted from ends with a newline, and no HTTP header takes one.
        key = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if not all("!" <= character <= "~" for character in key.strip()):
            raise ValueError("a key is printable ASCII without spaces; copy it once more")
        return SecretStr(key.strip())

    @field_validator("public_url", "sendgrid_url", "emulator_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        # Reading the port raises ValueError where it is none.
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0):
            raise ValueError(f"{value!r} is not a web address: write it as https://host")
        return value.rstrip("/")

    @field_validator("emulator_url")
    @classmethod
    def _is_loopback(cls, value: str) -> str:
        if value and not is_loopback(urlsplit(value).hostname or ""):
            raise ValueError(f"{value!r} is not on this machine: the local SendGrid is reached on loopback only")
        return value

    @field_validator("heartbeat_url")
    @classmethod
    def _is_watch_address(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        # Of the address, which is a secret, nothing is repeated.
        if url and not (url.startswith(("https://", "http://")) and urlsplit(url).hostname):
            raise ValueError("write it as https://host/path")
        return value

    @model_validator(mode="after")
    def _live_needs_a_public_address(self) -> Self:
        # RFC 8058 §3.1: one-click needs an HTTPS address; mail programs offer the button for nothing less.
        if self.mails_real_readers and not self.public_url.startswith("https://"):
            raise ValueError("NEWSLETTER_LIVE needs NEWSLETTER_PUBLIC_URL, an https:// address that readers can reach")
        return self

    @property
    def mails_real_readers(self) -> bool:
        """Whether real readers can be reached at all (DESIGN §4.11): asked for, and a key is there."""
        return self.live and bool(self.sendgrid_api_key.get_secret_value())

    @property
    def plan_hook_secrets(self) -> tuple[str, ...]:
        """The secrets that a payment system may sign with; without one it is not listened to."""
        return _words(self.plan_hook_secret)

    @property
    def resolved_journal_dir(self) -> Path:
        """Where the journal is, with the default in the data folder filled in."""
        return self.journal_dir or self.data_dir / "journal"

    @property
    def resolved_database_url(self) -> str:
        """The database's address, with the default of an SQLite file in the data folder filled in."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'newsletter.db').absolute()}"


def _words(secret: SecretStr) -> tuple[str, ...]:
    return tuple(word.strip() for word in secret.get_secret_value().split(",") if word.strip())


def is_loopback(host: str) -> bool:
    """Tell whether a host name or literal address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
