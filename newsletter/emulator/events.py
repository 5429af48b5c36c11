"""Events: what SendGrid would say of a mail, in its own shapes. Pure.

Keys in order, no blanks, each event on a line of its own; times are whole seconds, the try of a deferral is a text.
Custom arguments stand beside SendGrid's own words, which take the place of one that has the same name.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

import orjson

from newsletter.emulator.reactions import Reaction, Rule


@dataclass(frozen=True)
class Mail:
    """One accepted mail: to whom, in which request, its number in the record, and its custom arguments."""

    address: str
    message_id: str
    number: int
    custom_args: Mapping[str, str]


@dataclass(frozen=True)
class Event:
    """An event, and how many seconds after its mail it happens."""

    kind: str
    body: dict[str, Any]
    after: float = 0.0

    def at(self, moment: float) -> bytes:
        """Write the event as it happened at a moment, in seconds since 1970."""
        return orjson.dumps(self.body | {"timestamp": int(moment)}, option=orjson.OPT_SORT_KEYS)


#: The answers of a receiving server where a rule says none: the words, the code, and SendGrid's class.
_SAID = {
    Reaction.bounce: (
        "550 5.1.1 The email account that you tried to reach does not exist.",
        "5.1.1",
        "Invalid Address",
    ),
    Reaction.block: ("550 5.7.1 Message blocked by our policy.", "5.7.1", "Reputation"),
    Reaction.expire: ("Delivery expired after 72 hours", "4.4.7", "Technical"),
    Reaction.async_bounce: ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", "5.1.10", ""),
}
_TYPE_OF = {Reaction.bounce: "bounce", Reaction.block: "blocked", Reaction.expire: "expired"}
#: The unsubscribe group of the account.
GROUP = 1
_AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


def events_of(mail: Mail, rule: Rule, held_back: str) -> Iterator[Event]:
    """Give the events of one mail, in the order they happen.

    Args:
        mail: The mail.
        rule: What becomes of it.
        held_back: Why SendGrid drops it, where its address stands on one of the lists; then nothing else happens.
    """
    if held_back or rule.reaction is Reaction.invalid:
        yield _event(mail, "dropped", reason=held_back or "Invalid", status="5.0.0")
        return
    yield _event(mail, "processed")
    if rule.reaction in {Reaction.defer, Reaction.expire}:
        yield _event(mail, "deferred", attempt="1", response=rule.reason or "451 4.7.1 Please try again later")
    if rule.reaction in _TYPE_OF:
        yield _bounce(mail, rule)
        return
    yield _event(mail, "delivered", response="250 2.0.0 OK", ip="127.0.0.1", tls=1)
    yield from _afterwards(mail, rule)


def _afterwards(mail: Mail, rule: Rule) -> Iterator[Event]:
    """Give what happens to a mail that was delivered."""
    match rule.reaction:
        case Reaction.complain:
            yield _event(mail, "spamreport", rule.after)
        case Reaction.unsubscribe:
            yield _event(mail, "unsubscribe", rule.after)
        case Reaction.group_unsubscribe | Reaction.group_resubscribe:
            yield _event(mail, str(rule.reaction), rule.after, asm_group_id=GROUP, useragent=_AGENT, ip="127.0.0.1")
        case Reaction.open | Reaction.machine_open:
            machine = rule.reaction is Reaction.machine_open
            yield _event(mail, "open", rule.after, sg_machine_open=machine, useragent=_AGENT, ip="127.0.0.1")
        case Reaction.click:
            url = rule.url or "https://news.example.com/"
            offset = {"index": 0, "type": "html"}
            yield _event(mail, "open", rule.after, sg_machine_open=False, useragent=_AGENT, ip="127.0.0.1")
            yield _event(mail, "click", rule.after, url=url, url_offset=offset, useragent=_AGENT, ip="127.0.0.1")
        case Reaction.async_bounce:
            reason, status, _ = _SAID[rule.reaction]
            # As seen: without the ids of the mail, and without its custom arguments.
            body = {"email": mail.address, "event": "bounce", "type": "bounce", "sg_message_id": ""}
            said = {"reason": rule.reason or reason, "status": rule.status or status}
            yield Event("bounce", {**body, **said, "sg_event_id": _event_id("bounce", mail)}, rule.after)
        case _:
            return


def _bounce(mail: Mail, rule: Rule) -> Event:
    reason, status, classification = _SAID[rule.reaction]
    said = {
        "reason": rule.reason or reason,
        "type": _TYPE_OF[rule.reaction],
        "bounce_classification": rule.classification or classification,
        "tls": 0,
    }
    if rule.status != "-":
        said["status"] = rule.status or status
    return _event(mail, "bounce", rule.after, **said)


def _event(mail: Mail, kind: str, after: float = 0.0, **more: Any) -> Event:
    own = {
        "email": mail.address,
        "event": kind,
        "sg_event_id": _event_id(kind, mail),
        "sg_message_id": sg_message_id(mail.message_id, mail.number),
        "smtp-id": f"<{mail.message_id}@geopod-ismtpd-1>",
    }
    return Event(kind, {**mail.custom_args, **own, **more}, after)


def _event_id(kind: str, mail: Mail) -> str:
    plain = f"{kind}-0-10994919-{mail.message_id}-{mail.number}-{token_urlsafe(4)}"
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def sg_message_id(message_id: str, number: int) -> str:
    """Name one mail of a request, as all of its events do."""
    return f"{message_id}.recvd-5f54b5d587-local-1-67BADEEA-{number}.0"


def as_body(events: list[bytes]) -> bytes:
    """Put events into the body of one call, as SendGrid writes it."""
    return b"[" + b",\r\n".join(events) + b"]\r\n"


def with_fresh_id(event: bytes) -> bytes:
    """Write an event once more under another id, as has been seen to happen."""
    return orjson.dumps(orjson.loads(event) | {"sg_event_id": token_urlsafe(30)}, option=orjson.OPT_SORT_KEYS)
