"""Hooks: the ways to an operator that are not SendGrid, each in the shape that its robot wants. Pure, but for the time.

A generic hook is signed as Standard Webhooks has it; Feishu and DingTalk sign with a secret of theirs, WeCom's address
is its secret. All three answer 200 also where they refuse, and say so in the body.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

import orjson
from standardwebhooks import Webhook


#: What robots call the code of their answer; the last is an older Feishu's.
_CODES = ("code", "errcode", "StatusCode")
#: So much of a hook's host stands in its name, which the log has 60 characters for.
_HOST_CHARACTERS = 40


class HookKind(StrEnum):
    """Whose shape a hook has."""

    generic = "generic"
    feishu = "feishu"
    wecom = "wecom"
    dingtalk = "dingtalk"


@dataclass(frozen=True)
class Hook:
    """One hook: its address and, where it has one, its secret. Both are kept out of logs and listings."""

    kind: HookKind
    url: str
    secret: str = ""

    @property
    def name(self) -> str:
        """What it is called, wherever it stands in the settings; nobody could call it by that."""
        host = (urlsplit(self.url).hostname or "")[:_HOST_CHARACTERS]
        return f"{self.kind} {host} {hashlib.sha256(self.url.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Call:
    """A request to be posted."""

    url: str
    body: bytes
    headers: Mapping[str, str]


def read_hook(said: str) -> Hook:
    """Read a hook as the settings have it: ``feishu+https://…``, with a secret behind ``#`` where it has one.

    Raises:
        ValueError: It cannot be read; the sentence says how one is written, and repeats nothing of it.
    """
    kind, plus, rest = said.partition("+")
    if not plus or kind not in set(HookKind):
        kind, rest = HookKind.generic, said
    parts = urlsplit(rest)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"write a hook as https://…, or {', '.join(f'{one}+https://…' for one in HookKind)}")
    if kind == HookKind.generic and not parts.fragment:
        raise ValueError("a generic hook needs the secret that it is signed with: https://…#whsec_…")
    if kind == HookKind.generic:
        Webhook(parts.fragment)
    return Hook(HookKind(kind), urlunsplit(parts._replace(fragment="")), parts.fragment)


def call_of(hook: Hook, text: str, facts: Mapping[str, Any], number: int, *, now: datetime) -> Call:
    """Write the request that tells something by a hook.

    Args:
        hook: The way.
        text: What people read, in lines.
        facts: The same for programs; only the generic hook carries it.
        number: The alert's, so that a repeated call is known as one.
        now: The time, which signatures hold.
    """
    plain = {"Content-Type": "application/json"}
    match hook.kind:
        case HookKind.generic:
            body = orjson.dumps({**facts, "text": text})
            call_id = f"alert_{number}"
            signed = {
                "webhook-id": call_id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Webhook(hook.secret).sign(call_id, now, body.decode()),
            }
            return Call(hook.url, body, plain | signed)
        case HookKind.feishu:
            said: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
            return Call(hook.url, orjson.dumps(said | _feishu_signature(hook.secret, now)), plain)
        case HookKind.wecom:
            return Call(hook.url, orjson.dumps({"msgtype": "text", "text": {"content": text}}), plain)
        case HookKind.dingtalk:
            body = orjson.dumps({"msgtype": "text", "text": {"content": text}})
            return Call(_dingtalk_url(hook, now), body, plain)


def refusal_in(hook: Hook, status: int, body: bytes) -> str:
    """Tell why a hook refused, or nothing where it took the call."""
    if not 200 <= status < 300:  # noqa: PLR2004 - any 2xx
        return f"answered {status}"
    if hook.kind is HookKind.generic:
        return ""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "answered something that is no JSON"
    if not isinstance(said, dict) or not (codes := [said[name] for name in _CODES if name in said]):
        # Something between us and the robot: it did not take the call.
        return "answered without a code"
    words = str(said.get("msg", said.get("errmsg", "")))[:100]
    return "" if codes[0] == 0 else f"refused with code {codes[0]}: {words}"


def _feishu_signature(secret: str, now: datetime) -> dict[str, str]:
    """Sign as Feishu's custom robots want it: the key is the time and the secret, the message is empty."""
    if not secret:
        return {}
    timestamp = str(int(now.timestamp()))
    digest = hmac.digest(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256)
    return {"timestamp": timestamp, "sign": base64.b64encode(digest).decode()}


def _dingtalk_url(hook: Hook, now: datetime) -> str:
    """Sign as DingTalk's custom robots want it: in the address, the time in milliseconds."""
    if not hook.secret:
        return hook.url
    timestamp = str(int(now.timestamp() * 1000))
    digest = hmac.digest(hook.secret.encode(), f"{timestamp}\n{hook.secret}".encode(), hashlib.sha256)
    parts = urlsplit(hook.url)
    query = [*parse_qsl(parts.query), ("timestamp", timestamp), ("sign", base64.b64encode(digest).decode())]
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote_plus)))
