"""Whether an operator hears of trouble, also where SendGrid or this machine is what is broken."""

from collections.abc import Iterator

from newsletter.doctor.installation import Installation
from newsletter.doctor.results import Result, ok, problem, warning
from newsletter.notices.hooks import read_hook


_PAGE = "(docs/alerts.md)"


def ways(installation: Installation) -> Iterator[Result]:
    """Look whether alerts have a way that is not SendGrid, and whether a watch expects to hear of this machine."""
    settings = installation.settings
    hooks = settings.alert_hooks.get_secret_value().split()
    try:
        for one in hooks:
            read_hook(one)
    except ValueError as error:
        yield problem(f"NEWSLETTER_ALERT_HOOKS: {error}", "`newsletter serve` does not start so")
        return
    watched = bool(settings.heartbeat_url.get_secret_value())
    if not installation.live:
        yield ok("NOT LIVE: nobody outside this machine is alarmed")
        return
    if not hooks:
        told = "alerts leave by SendGrid alone" if settings.alert_mail else "alerts are told to nobody"
        todo = f"set NEWSLETTER_ALERT_HOOKS {_PAGE}, then `newsletter alerts test`"
        yield warning(f"{told}: nobody hears that SendGrid is what is broken", todo)
    if not watched:
        todo = f"set NEWSLETTER_HEARTBEAT_URL to a watch that calls you when it hears nothing {_PAGE}"
        yield warning("nobody notices that this machine has died before the slot", todo)
    if hooks and watched:
        yield ok("alerts have a way that is not SendGrid, and a watch expects to hear of this machine")
