"""What a provider says of a mail later: the words that every provider's events are put into. Beside the port.

``sendgrid_events`` translates; ``feedback`` matches, records and decides. Every field may be missing: what a remote
server or a provider left out must not keep the rest from being heard.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FeedbackKind(StrEnum):
    """What an event says."""

    processed = "processed"
    deferred = "deferred"
    delivered = "delivered"
    dropped = "dropped"
    bounced = "bounced"
    complained = "complained"
    unsubscribed = "unsubscribed"
    opened = "opened"
    clicked = "clicked"
    #: The address stands on a list of the provider's: found by a pull, not said by an event.
    listed = "listed"
    #: Something that has no consequence here, or that nobody knows yet.
    other = "other"


#: What is said of our account, not of a mail: that the provider has stopped it, or lets it mail again.
ACCOUNT_CHANGED = "account_status_change"
#: How the attempt of a test mail begins: nobody's delivery, and nothing follows from what is said of it.
TRIAL = "trial-"


@dataclass(frozen=True)
class FeedbackEvent:
    """One thing a provider said of one mail.

    Attributes:
        kind: What it says, in our words.
        said: The provider's own word for it.
        address: Whose mail it was, as the provider wrote it.
        at: When it happened (UTC); nothing where that cannot be read.
        event_id: The provider's id of the event; repeats usually carry the same one.
        message_id: The provider's id of the request that the mail was part of.
        delivery: Our delivery, as the request's custom argument had it.
        notice: Our notice, likewise.
        attempt: The attempt (or a notice's call), likewise: random, so that nobody else's number is taken for ours.
        status: The enhanced status code (RFC 3463), or nothing.
        bounce_type: SendGrid's ``bounce``, ``blocked`` or ``expired``.
        classification: SendGrid's class of a bounce; the list's name where ``listed``.
        text: What the receiving server, or the provider, gave as the reason. Untrusted; may hold the address.
        url: What was clicked.
        is_machine: An open that a mail program's machine made (Apple's privacy protection).
        tries: Which try a deferral was.
        problem: What a person should see of it: what could not be read, or what became of the account; else empty.
    """

    kind: FeedbackKind
    said: str
    address: str = ""
    at: datetime | None = None
    event_id: str = ""
    message_id: str = ""
    delivery: int | None = None
    notice: int | None = None
    attempt: str = ""
    status: str = ""
    bounce_type: str = ""
    classification: str = ""
    text: str = ""
    url: str = ""
    is_machine: bool = False
    tries: str = ""
    problem: str = ""

    @property
    def is_of_trial(self) -> bool:
        """Whether it is about a test mail."""
        return self.attempt.startswith(TRIAL)

    @property
    def is_of_account(self) -> bool:
        """Whether it is about our account at the provider."""
        return self.said == ACCOUNT_CHANGED
