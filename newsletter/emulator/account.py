"""The account: SendGrid's paths beside sending: the event webhook, the lists of held addresses, scopes, credits.

In SendGrid's own shapes; every one asks for the key, and a fault that answers everything answers here, too.
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from newsletter.emulator.answers import faulty, refused
from newsletter.emulator.feed import Feed
from newsletter.emulator.lists import LISTS, Span
from newsletter.emulator.posting import Poster
from newsletter.emulator.validation import Problem


#: SendGrid gives no more entries of a list at once.
LARGEST_PAGE = 500
LARGEST_ACTIVITY = 1000
_ALL_SCOPES = (
    "mail.send",
    "suppression.read",
    "suppression.delete",
    "asm.groups.suppressions.read",
    "user.webhooks.event.settings.read",
    "user.webhooks.event.settings.update",
    "user.credits.read",
    "whitelabel.read",
)
_KINDS = (
    *("processed", "delivered", "deferred", "bounce", "dropped", "spam_report", "unsubscribe"),
    *("group_unsubscribe", "group_resubscribe", "open", "click"),
)


@dataclass
class Pace:
    """So many calls in so many seconds, and no more."""

    calls: int = 6
    seconds: float = 60.0
    _made: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Count a call, or tell in how many seconds there is room for one."""
        while self._made and self._made[0] <= now - self.seconds:
            self._made.popleft()
        if len(self._made) >= self.calls:
            return self._made[0] + self.seconds - now
        self._made.append(now)
        return 0.0


class _Refusal(Exception):
    """The request is answered by this instead."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer


def refusal(_: Request, error: Exception) -> Response:
    """Give the answer that a refusal holds."""
    if not isinstance(error, _Refusal):
        raise error
    return error.answer


def _feed(request: Request) -> Feed:
    """Let only who has the key in."""
    app = request.app
    if request.headers.get("authorization") != f"Bearer {app.state.settings.api_key}":
        message = "The provided authorization grant is invalid, expired, or revoked"
        raise _Refusal(refused([Problem(message, None)], 401))
    if fault := app.state.faults.standing():
        raise _Refusal(faulty(fault, None))
    feed: Feed = app.state.feed
    return feed


Account = Annotated[Feed, Depends(_feed)]
router = APIRouter(prefix="/v3")
REFUSAL = _Refusal


def _needs(feed: Feed, scope: str) -> None:
    if scope not in feed.setting("scopes", _ALL_SCOPES):
        raise _Refusal(refused([Problem("access forbidden", None)], 403))


@router.get("/scopes")
def scopes(feed: Account) -> dict[str, Any]:
    """Tell what the key may do."""
    return {"scopes": list(feed.setting("scopes", _ALL_SCOPES))}


@router.get("/user/credits")
def credits_left(feed: Account) -> dict[str, Any]:
    """Tell how many mails may still be sent."""
    _needs(feed, "user.credits.read")
    left = feed.setting("credits", 100_000)
    reset = {"last_reset": "2026-11-01", "next_reset": "2026-12-01", "reset_frequency": "monthly"}
    return {"remain": left, "total": max(left, 100_000), "overage": 0, "used": 0, **reset}


@router.get("/whitelabel/domains")
def domains(feed: Account) -> list[dict[str, Any]]:
    """List the sender's authenticated domains."""
    _needs(feed, "whitelabel.read")
    found: list[dict[str, Any]] = feed.setting("domains", [])
    return found


@router.get("/user/webhooks/event/settings")
def webhook(feed: Account) -> dict[str, Any]:
    """Show the settings of the event webhook."""
    _needs(feed, "user.webhooks.event.settings.read")
    return {**dict.fromkeys(_KINDS, True), **feed.webhook}


@router.patch("/user/webhooks/event/settings")
def set_webhook(feed: Account, said: dict[str, Any]) -> dict[str, Any]:
    """Change the settings of the event webhook."""
    _needs(feed, "user.webhooks.event.settings.update")
    url = said.get("url", feed.webhook["url"])
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise _Refusal(refused([Problem("url must be a valid URL", "url")]))
    feed.keep_setting("webhook", {**feed.webhook, **said})
    return {**dict.fromkeys(_KINDS, True), **feed.webhook}


@router.get("/user/webhooks/event/settings/signed")
@router.patch("/user/webhooks/event/settings/signed")
def signed(request: Request, feed: Account) -> dict[str, Any]:
    """Show the key that events are signed with; they always are."""
    _needs(feed, "user.webhooks.event.settings.read")
    poster: Poster = request.app.state.poster
    return {"public_key": poster.key.public}


@router.get("/suppression/{name}")
def listed(  # noqa: PLR0913, PLR0917 - SendGrid's own parameters
    feed: Account,
    name: str,
    start_time: int = 0,
    end_time: int = 2**40,
    limit: int = LARGEST_PAGE,
    offset: int = 0,
    email: str = "",
) -> list[dict[str, Any]]:
    """Give a page of a list, the newest first."""
    _needs(feed, "suppression.read")
    span = Span(start_time, end_time, email)
    return feed.lists.page(_known(name), span, min(max(limit, 1), LARGEST_PAGE), max(offset, 0))


@router.get("/suppression/{name}/{email}")
def listed_one(feed: Account, name: str, email: str) -> list[dict[str, Any]]:
    """Give the entry of one address."""
    _needs(feed, "suppression.read")
    return feed.lists.find(_known(name), email)


@router.delete("/suppression/{name}/{email}")
def take_off_one(feed: Account, name: str, email: str) -> Response:
    """Take one address off a list."""
    _needs(feed, "suppression.delete")
    if not feed.lists.take_off(_known(name), [email]):
        return refused([Problem("not found", None)], 404)
    return Response(status_code=204)


@router.delete("/suppression/{name}")
def take_off(feed: Account, name: str, said: dict[str, Any]) -> Response:
    """Take some addresses off a list, or all."""
    _needs(feed, "suppression.delete")
    if ("emails" in said) == bool(said.get("delete_all")):
        return refused([Problem("either emails or delete_all", None)])
    feed.lists.take_off(_known(name), None if said.get("delete_all") else said["emails"])
    return Response(status_code=204)


@router.get("/asm/suppressions/global/{email}")
def globally_unsubscribed(feed: Account, email: str) -> Mapping[str, str]:
    """Tell whether an address stands on the global list."""
    found = feed.lists.find("unsubscribes", email)
    return {"recipient_email": found[0]["email"]} if found else {}


@router.post("/asm/suppressions/global")
def unsubscribe_globally(feed: Account, said: dict[str, list[str]]) -> Response:
    """Put addresses on the global list."""
    feed.lists.put_on("unsubscribes", said.get("recipient_emails", []))
    return JSONResponse(said, 201)


@router.delete("/asm/suppressions/global/{email}")
def resubscribe_globally(feed: Account, email: str) -> Response:
    """Take an address off the global list."""
    feed.lists.take_off("unsubscribes", [email])
    return Response(status_code=204)


@router.get("/messages")
def messages(request: Request, feed: Account, query: str = "", limit: int = 10) -> Any:
    """Find mails on record by a custom argument, as Email Activity does: an add-on, with six calls a minute."""
    if not feed.setting("activity", default=True):
        raise _Refusal(refused([Problem("access forbidden", None)], 403))
    if wait := request.app.state.activity_pace.wait(feed.clock()):
        too_many = refused([Problem("too many requests", None)], 429)
        too_many.headers["X-RateLimit-Remaining"], too_many.headers["X-RateLimit-Reset"] = "0", str(int(wait) + 1)
        raise _Refusal(too_many)
    asked = re.fullmatch(r"""\(?unique_args\[['"]([\w.-]+)['"]\]\s*=\s*"([^"]*)"\)?""", query.strip())
    if asked is None:
        word = query.partition("=")[0].strip()
        raise _Refusal(refused([Problem(f"invalid syntax: '{word}' is not a known field", "query")]))
    return {"messages": feed.messages(*asked.groups(), limit=min(max(limit, 1), LARGEST_ACTIVITY))}


def _known(name: str) -> str:
    if name not in LISTS:
        raise _Refusal(refused([Problem("not found", None)], 404))
    return name
