"""Publications: newsletters as readers know them. Who mails, from where, in which zone and language.

A mailing can only begin for a publication that is complete: the law asks for a postal address, and readers for an
address that takes replies (``what_is_missing``).
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address as HeaderAddress
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import Boolean, Column, String, Text, UniqueConstraint, false
from sqlmodel import Field, Session, SQLModel, col, select

from newsletter.errors import NotFound, Refused
from subscribers.matching import Home


class Publication(SQLModel, table=True):
    """A newsletter as readers know it."""

    __table_args__ = (UniqueConstraint("code", name="uq_publication_code"),)

    id: int = Field(default=None, primary_key=True)
    code: str = Field(sa_column=Column(String(40), nullable=False))
    name: str
    sender: str
    reply_to: str = ""
    site_url: str = ""
    postal_address: str = ""
    time_zone: str = "Asia/Shanghai"
    locale: str = "zh-CN"
    subscribe_url: str = ""
    upgrade_url: str = ""
    logo_url: str = ""
    brand_color: str = ""
    standing_footer: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    frequency: str = ""
    privacy_url: str = ""
    privacy_version: str = ""
    leave_mailbox: str = ""
    consent_text: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    noindex: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    track_opens: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    track_clicks: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    created_at: datetime


@dataclass(frozen=True)
class PublicationForm:
    """What an operator says of a publication; ``None`` leaves what stands.

    ``sender`` and ``reply_to`` are addresses, ``site_url`` is where root-relative links of issues point,
    ``subscribe_url`` where somebody to whom a mail was forwarded can subscribe, ``upgrade_url`` where a reader gets
    another plan; ``brand_color`` is ``#rrggbb``, ``standing_footer`` is Markdown at the end of every issue.
    ``frequency`` is how often it comes, as sign-up forms say it; ``privacy_url`` and ``privacy_version`` name the
    policy that readers agree to; ``leave_mailbox`` takes mails that unsubscribe their sender; ``consent_text`` takes
    the place of our own words of consent on sign-up forms. ``noindex`` asks search engines to leave the archive out;
    ``track_opens`` and ``track_clicks`` have the provider count them.
    """

    name: str | None = None
    sender: str | None = None
    reply_to: str | None = None
    site_url: str | None = None
    postal_address: str | None = None
    time_zone: str | None = None
    locale: str | None = None
    subscribe_url: str | None = None
    upgrade_url: str | None = None
    logo_url: str | None = None
    brand_color: str | None = None
    standing_footer: str | None = None
    frequency: str | None = None
    privacy_url: str | None = None
    privacy_version: str | None = None
    leave_mailbox: str | None = None
    consent_text: str | None = None
    noindex: bool | None = field(default=None, kw_only=True)
    track_opens: bool | None = field(default=None, kw_only=True)
    track_clicks: bool | None = field(default=None, kw_only=True)

    def cleaned(self) -> dict[str, str | bool]:
        """Give the fields that were said, checked.

        Raises:
            Refused: A value cannot be used; the sentence names the field and how to mend it.
        """
        said = {name: value.strip() for name, value in vars(self).items() if isinstance(value, str)}
        for name, value in said.items():
            _check(name, value)
        return {**said, **{name: value for name, value in vars(self).items() if isinstance(value, bool)}}


_ADDRESSES_OF_PAGES = frozenset({"site_url", "subscribe_url", "upgrade_url", "logo_url", "privacy_url"})
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


def _check(field: str, value: str) -> None:
    if field in {"standing_footer", "consent_text"}:
        return
    if any(ord(character) < ord(" ") for character in value):
        raise Refused(f"{field}: line breaks and control characters cannot stand in a header; write it in one line")
    if field in {"name", "sender"} and not value:
        raise Refused(f"{field}: it cannot be empty")
    if value and field in {"sender", "reply_to", "leave_mailbox"}:
        _check_address(field, value)
    if value and field in _ADDRESSES_OF_PAGES:
        _check_page(field, value)
    if value and field == "brand_color" and not _COLOR.fullmatch(value):
        raise Refused(f"brand_color: {value!r} is no colour; write it as #b7791f")
    if field == "time_zone":
        zone_named(value)


def _check_address(field: str, value: str) -> None:
    try:
        validate_email(value, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise Refused(f"{field}: {value!r} is no address that mail can come from: {error}") from None


def _check_page(field: str, value: str) -> None:
    parts = urlsplit(value)
    try:
        is_host = bool(parts.hostname and parts.hostname.encode("idna"))
    except UnicodeError:
        is_host = False
    if parts.scheme not in {"http", "https"} or not is_host:
        raise Refused(f"{field}: {value!r} is no web address; write it as https://news.example.com")


def add_publication(session: Session, code: str, form: PublicationForm, *, now: datetime) -> Publication:
    """Create a publication.

    Raises:
        Refused: The code is taken, or name or sender is missing or wrong.
    """
    if not code or not all(character.isascii() and (character.isalnum() or character == "-") for character in code):
        raise Refused(f"code {code!r}: use letters a-z, digits and hyphens, such as weekly")
    if session.exec(select(Publication).where(Publication.code == code)).first():
        raise Refused(f"there is already a publication {code!r}; `publication set {code}` changes it")
    said = form.cleaned()
    if missing := [field for field in ("name", "sender") if field not in said]:
        raise Refused(f"a publication needs {' and '.join(missing)}")
    publication = Publication.model_validate({"code": code, "created_at": now, **said})
    session.add(publication)
    session.flush()
    return publication


def set_publication(session: Session, code: str, form: PublicationForm) -> Publication:
    """Change what the form says and leave the rest.

    Raises:
        NotFound: There is no such publication.
        Refused: A value cannot be used.
    """
    publication = publication_named(session, code)
    for name, value in form.cleaned().items():
        setattr(publication, name, value)
    session.add(publication)
    session.flush()
    return publication


def publication_named(session: Session, code: str | None) -> Publication:
    """Find a publication by its code; without a code, the only one there is.

    Raises:
        NotFound: There is none, or no such one.
        Refused: No code was given and there are several.
    """
    publications = list_publications(session)
    if not publications:
        raise NotFound("there is no publication yet: create one with `newsletter publication add`")
    codes = ", ".join(publication.code for publication in publications)
    if code is None:
        if len(publications) > 1:
            raise Refused(f"there are several publications: name one with --publication ({codes})")
        return publications[0]
    for publication in publications:
        if publication.code == code:
            return publication
    raise NotFound(f"there is no publication {code!r}; there is: {codes}")


def publication_by_id(session: Session, publication_id: int) -> Publication:
    """Find a publication by the id that other rows hold.

    Raises:
        NotFound: There is no such row.
    """
    if (publication := session.get(Publication, publication_id)) is None:
        raise NotFound(f"there is no publication with id {publication_id}")
    return publication


def list_publications(session: Session) -> list[Publication]:
    """List every publication, oldest first."""
    return list(session.exec(select(Publication).order_by(col(Publication.id))))


def what_is_missing(publication: Publication) -> tuple[str, ...]:
    """Name the fields without which no mailing may begin (postal address: CAN-SPAM, 15 U.S.C. 7704)."""
    needed = ("sender", "reply_to", "site_url", "postal_address")
    return tuple(field for field in needed if not getattr(publication, field))


def zone_named(name: str) -> ZoneInfo:
    """Give a time zone by its name.

    Raises:
        Refused: There is no such zone.
    """
    if name not in available_timezones():
        raise Refused(f"time_zone: {name!r} is no time zone; write it as Asia/Shanghai")
    return ZoneInfo(name)


def zone_of(publication: Publication) -> ZoneInfo:
    """Give the zone in which the publication's times are written and shown."""
    return ZoneInfo(publication.time_zone)


def from_header(publication: Publication) -> str:
    """Write the From header as mail shows it, for people to look at."""
    return str(HeaderAddress(publication.name, addr_spec=publication.sender))


def home_of(publication: Publication) -> Home:
    """Give what a publication adds to filters of its readers."""
    return Home(publication.id, zone_of(publication), publication.locale)
