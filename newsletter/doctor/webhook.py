"""The way back: whether SendGrid posts every kind of event to us, signed with a key that we believe, and reaches us."""

from collections.abc import Iterator, Mapping
from typing import Any

import requests

from newsletter.doctor.installation import Installation
from newsletter.doctor.results import Result, Skip, ok, problem, warning
from newsletter.providers.sendgrid_account import AccountRefused


PATH = "/webhooks/sendgrid"
SETTINGS = "user/webhooks/event/settings"
_SCOPE = "user.webhooks.event.settings.read"
_PAGE = "SendGrid: Settings › Mail Settings › Event Webhooks"
#: Without these a mailing cannot be accounted for, or a reader who must not be mailed is.
_ESSENTIAL = ("processed", "delivered", "bounce", "dropped", "spam_report")
#: Without these reports are thinner, or a way of leaving is not heard of.
_USEFUL = ("deferred", "unsubscribe", "group_unsubscribe", "group_resubscribe")
#: Seconds to connect, and to wait for an answer.
_PATIENCE = (5.0, 10.0)


def settings(installation: Installation) -> Iterator[Result]:
    """Look whether SendGrid posts to us, and which kinds of events."""
    wanted = _our_url(installation)
    found = _our_webhook(installation, wanted)
    if found.get("url") != wanted:
        yield problem(
            f"SendGrid posts events to {found.get('url') or 'nobody'}, not to {wanted}", f"set the URL ({_PAGE})"
        )
        return
    if not found.get("enabled"):
        yield problem(f"the webhook to {wanted} is switched off", f"enable it ({_PAGE})")
    if missing := [kind for kind in _ESSENTIAL if not found.get(kind, True)]:
        yield problem(f"not posted: {', '.join(missing)}; mailings cannot be accounted for", f"tick them ({_PAGE})")
    if missing := [kind for kind in (*_USEFUL, *_measured(installation)) if not found.get(kind, True)]:
        yield warning(f"not posted: {', '.join(missing)}; reports do not show them", f"tick them ({_PAGE})")
    if found.get("enabled") and all(found.get(kind, True) for kind in _ESSENTIAL):
        yield ok(f"SendGrid posts events to {wanted}")


def _measured(installation: Installation) -> tuple[str, ...]:
    """Name the kinds that only a publication that counts them needs."""
    try:
        found = installation.publications()
    except Skip:
        return ()
    counted = {"open": any(one.track_opens for one in found), "click": any(one.track_clicks for one in found)}
    return tuple(kind for kind, is_counted in counted.items() if is_counted)


def signature(installation: Installation) -> Iterator[Result]:
    """Look whether events are signed, with a key that is among ours."""
    webhook = _our_webhook(installation, _our_url(installation))
    theirs = str(webhook.get("public_key") or _signed(installation, webhook).get("public_key") or "")
    if not theirs:
        yield problem(
            "SendGrid does not sign its events, and unsigned ones are refused",
            f"enable Signature Verification ({_PAGE}) and set NEWSLETTER_SENDGRID_WEBHOOK_KEY to the key it shows",
        )
    elif theirs in installation.webhook_keys:
        yield ok("SendGrid signs its events with a key that is believed here")
    elif not installation.live and not installation.webhook_keys:
        yield ok("the local SendGrid signs its events")
    else:
        set_already = "none of the keys in" if installation.webhook_keys else "no key is set in"
        yield problem(
            f"SendGrid signs with a key that is not believed: {set_already} NEWSLETTER_SENDGRID_WEBHOOK_KEY",
            f"add it there, after a comma, and restart: {theirs}",
        )


def _our_url(installation: Installation) -> str:
    """Give the URL to which events belong: NOT LIVE, where `serve` listens, since it sets up the local SendGrid so."""
    settings = installation.settings
    if installation.live:
        return settings.public_url + PATH
    if not settings.port:
        raise Skip("NOT LIVE, and `serve` takes a free port: no URL can be compared")
    return f"http://{settings.host}:{settings.port}{PATH}"


def _our_webhook(installation: Installation, wanted: str) -> Mapping[str, Any]:
    """Give the settings of the webhook that posts to us; where none does, those of the account's first one."""
    first = installation.sendgrid.ask(SETTINGS, dict, _SCOPE)
    if first.get("url") == wanted:
        return first
    try:
        others = installation.sendgrid.ask(f"{SETTINGS}/all", dict, _SCOPE).get("webhooks")
    except AccountRefused:
        # Older accounts have one webhook, and no such list.
        return first
    ours = [
        one
        for one in (others if isinstance(others, list) else ())
        if isinstance(one, dict) and one.get("url") == wanted
    ]
    return ours[0] if ours else first


def _signed(installation: Installation, webhook: Mapping[str, Any]) -> Mapping[str, Any]:
    which = f"/{webhook['id']}" if webhook.get("id") else ""
    return installation.sendgrid.ask(f"{SETTINGS}/signed{which}", dict, _SCOPE)


def reachable(installation: Installation) -> Iterator[Result]:
    """Look whether the service answers where readers and SendGrid call it."""
    if not installation.live:
        raise Skip("NOT LIVE: nobody calls from outside")
    _ = installation.sendgrid
    base = installation.settings.public_url
    try:
        health = requests.get(f"{base}/healthz", timeout=_PATIENCE, allow_redirects=False)
        hook = requests.get(base + PATH, timeout=_PATIENCE, allow_redirects=False)
    except requests.RequestException as error:
        todo = "see that `newsletter serve` runs, that the proxy before it passes on, and that its certificate is valid"
        yield problem(f"{base} does not answer: {type(error).__name__}", todo)
        return
    yield from _judged(base, health, hook)


def _judged(base: str, health: requests.Response, hook: requests.Response) -> Iterator[Result]:
    if not (said := _json(health)) or said.get("status") != "ok":
        yield problem(
            f"{base}/healthz answers {health.status_code}, and not as this service does",
            "let the proxy pass every path on, without a redirect",
        )
    elif not said.get("live"):
        todo = "restart `newsletter serve` with these settings; expected as long as you only ask before going live"
        yield problem(f"the service at {base} is NOT LIVE", todo)
    # It takes POST alone: another answer comes from something before it, or from a version without it.
    elif hook.status_code != requests.codes.method_not_allowed:
        yield problem(f"{base}{PATH} answers {hook.status_code}", "let the proxy pass this path on to the service")
    else:
        yield ok(f"{base} answers, and passes SendGrid's events on")


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
