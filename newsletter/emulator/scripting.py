"""Scripting: the emulator's own paths by which tests and rehearsals say what becomes of mails, and read what did."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from newsletter.emulator.errors import EmulatorError
from newsletter.emulator.feed import Feed
from newsletter.emulator.posting import Poster
from newsletter.emulator.reactions import Reactions
from newsletter.emulator.scripts import Table, rules_of, server_texts


router = APIRouter(prefix="/_emulator")
_LINES = 500


@router.post("/react")
def react(request: Request, told: dict[str, Any]) -> dict[str, Any]:
    """Say what becomes of mails: of those that come, or with ``now`` of those that were delivered before."""
    reactions: Reactions = request.app.state.reactions
    feed: Feed = request.app.state.feed
    at_once = told.pop("now", False)
    if not at_once:
        return reactions.add(told).as_json()
    rule = Reactions().add(told)
    return rule.as_json() | {"mails": feed.react_now(rule)}


@router.get("/react")
def list_reactions(request: Request) -> list[dict[str, Any]]:
    """List what was said."""
    found: list[dict[str, Any]] = request.app.state.reactions.listed()
    return found


@router.delete("/react")
def clear_reactions(request: Request) -> Response:
    """Let everything be delivered again."""
    request.app.state.reactions.clear()
    return Response(status_code=204)


@router.post("/script")
def lay_script(request: Request, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Say what becomes of the mails of a whole audience, in place of all that was said before."""
    reactions: Reactions = request.app.state.reactions
    reactions.replace(rules_of(told))
    return reactions.listed()


@router.get("/script")
def list_answers() -> Table:
    """List the answers that a script can name, by mailbox provider."""
    return server_texts()


@router.post("/clock")
def set_clock(request: Request, told: dict[str, float]) -> dict[str, float]:
    """Let time run faster."""
    poster: Poster = request.app.state.poster
    poster.clock.run_at(told.get("speed", 1.0))
    return {"speed": poster.clock.speed, "now": poster.clock()}


@router.post("/webhook")
def set_oddities(request: Request, told: dict[str, Any]) -> dict[str, Any]:
    """Say how posting strays from the straight way."""
    feed: Feed = request.app.state.feed
    feed.oddities = feed.oddities.changed(told)
    return asdict(feed.oddities)


@router.post("/account")
def set_account(request: Request, told: dict[str, Any]) -> dict[str, Any]:
    """Say what the account is like: its ``scopes``, ``credits``, ``domains``; whether it has ``activity``."""
    feed: Feed = request.app.state.feed
    for name, value in told.items():
        if name not in {"scopes", "credits", "domains", "activity"}:
            raise EmulatorError(f"an account has no {name}: it has scopes, credits, domains, activity")
        feed.keep_setting(name, value)
    return told


@router.get("/events")
def events(request: Request, kind: Annotated[str, Query()] = "") -> StreamingResponse:
    """Give every event once, a line of JSON each, as it was made."""
    return StreamingResponse(_lines(request.app.state.feed, kind), media_type="application/x-ndjson")


def _lines(feed: Feed, wanted: str) -> Iterator[bytes]:
    last = 0
    while page := feed.events(last, _LINES):
        last = page[-1][0]
        yield b"".join(_line(*row) for row in page if not wanted or row[2] == wanted)


def _line(  # noqa: PLR0913, PLR0917 - the columns of a row
    number: int, delivery: int, kind: str, body: bytes, waits: int, posts: int, given_up: int
) -> bytes:
    state = "waiting" if waits else "given_up" if given_up else "posted"
    told = {"id": number, "delivery": delivery, "kind": kind, "state": state, "posts": posts}
    return orjson.dumps(told | {"body": orjson.loads(body)}) + b"\n"
