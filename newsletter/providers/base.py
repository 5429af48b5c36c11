"""The port: what a provider takes, and how a call to it can end. Used by ``delivery.dispatch``.

An ending is a value, never an exception: each row of the class table of DESIGN §5 is one :class:`Ending`, so that a
caller cannot forget one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Ending(StrEnum):
    """How a call ended, as far as anyone can know."""

    #: The request was never wholly written: nobody can have accepted it.
    never_left = "never_left"
    #: The provider took it (202).
    accepted = "accepted"
    #: Refused for now: too many requests, or the service says it is unavailable.
    throttled = "throttled"
    #: Refused whole because of some recipients, named or not.
    recipients_refused = "recipients_refused"
    #: Refused whole because of its size.
    too_large = "too_large"
    #: The key is wrong, lacks a scope, or the account has no credits left.
    unauthorised = "unauthorised"
    #: Written, and no certain answer: it may have been accepted.
    ambiguous = "ambiguous"
    #: Refused for good.
    refused = "refused"


@dataclass(frozen=True)
class Recipient:
    """One reader in a request: who, and everything that is theirs alone."""

    address: str
    name: str
    headers: Mapping[str, str]
    substitutions: Mapping[str, str]
    custom_args: Mapping[str, str]


@dataclass(frozen=True)
class Message:
    """One request: a rendering and up to 1000 recipients of it.

    ``track_opens`` and ``track_clicks`` ask the provider to count them; links of readers' own pages are never counted.
    """

    sender: str
    sender_name: str
    reply_to: str
    subject: str
    html: str
    text: str
    recipients: tuple[Recipient, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    track_opens: bool = False
    track_clicks: bool = False


@dataclass(frozen=True)
class RefusedRecipient:
    """A recipient that the provider named in its refusal, by its place in the request (from 0)."""

    index: int
    reason: str


@dataclass(frozen=True)
class CallEnd:
    """How a call ended, with what the provider said about it.

    Attributes:
        status: The HTTP status, where an answer came.
        message_id: The provider's id of the request, where it accepted.
        wait_seconds: How long the provider asked to wait, where it did.
        refused: The recipients it named, where it refused some.
        detail: What came back, shortened, for people; it never holds an address of ours.
        made: False where the call was not made for a cause of our own, which says nothing about the provider.
    """

    ending: Ending
    status: int | None = None
    message_id: str | None = None
    wait_seconds: float | None = None
    refused: tuple[RefusedRecipient, ...] = ()
    detail: str = ""
    made: bool = True


class Provider(Protocol):
    """Whoever takes our mail. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """The provider's name, for people."""
        ...

    def submit(self, message: Message) -> CallEnd:
        """Hand over one request and tell how that ended. Makes one call at most; never raises for its outcome."""
        ...
