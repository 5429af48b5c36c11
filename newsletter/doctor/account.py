"""The SendGrid account: the key, what it may do, the credits, and whose clock is right."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from newsletter.doctor.installation import DOOR, Installation
from newsletter.doctor.results import Result, Skip, Status, ok, problem, warning


_KEYS = "SendGrid: Settings › API Keys"
#: Scopes, how bad it is without them, and what will not work (SendGrid: API Key Permissions).
NEEDED: Sequence[tuple[str, Status, str]] = (
    ("mail.send", Status.problem, "no mail is taken"),
    ("suppression.read", Status.problem, "`suppressions pull` cannot bring our suppressions level with SendGrid's"),
    ("suppression.delete", Status.warning, "SendGrid goes on dropping mails to readers who were taken back"),
    ("user.webhooks.event.settings.read", Status.warning, "doctor cannot see whether events are posted here"),
    ("user.credits.read", Status.warning, "doctor cannot compare the credits with the audience"),
    ("whitelabel.read", Status.warning, "doctor cannot see which domains SendGrid signs for"),
)
#: With one of these, who finds the key can make keys, or people who may.
_DANGEROUS = ("api_keys.create", "teammates.create", "api_keys.update")
#: Signed links and windows of pulls bear a minute; an HTTP date is exact to a second.
CLOCK_BEARS = timedelta(seconds=60)


def key(installation: Installation) -> Iterator[Result]:
    """Look whether there is a key, and whether SendGrid accepts it."""
    there = bool(installation.settings.sendgrid_api_key.get_secret_value())
    if installation.settings.live and not there:
        yield problem("NEWSLETTER_LIVE is true, but SENDGRID_API_KEY is not set", f"make a key ({_KEYS}) and set it")
    installation.sendgrid.knock()
    if installation.live:
        yield ok("SendGrid accepts the key")
        return
    tried = "the real key was not tried: `NEWSLETTER_LIVE=true newsletter doctor` tries it, and mails nobody"
    yield ok(f"the local SendGrid accepts its key{f'; {tried}' if there else ''}")


def scopes(installation: Installation) -> Iterator[Result]:
    """Name the scopes that the key lacks, with what will not work, and those that it should not have."""
    said = installation.sendgrid.ask(DOOR, dict).get("scopes")
    held = set(map(str, said)) if isinstance(said, list) else set()
    lacking = [one for one in NEEDED if one[0] not in held]
    for scope, status, loss in lacking:
        yield Result(status, f"the key lacks {scope}: {loss}", f"add the scope to the key ({_KEYS})")
    if installation.live and (dangerous := held.intersection(_DANGEROUS)):
        yield warning(
            f"the key may do far more than it needs ({', '.join(sorted(dangerous))})",
            "make one with restricted access, with the scopes of docs/going-live.md",
        )
    if not lacking:
        yield ok("the key has every scope that is needed")


def credits_(installation: Installation) -> Iterator[Result]:
    """Compare what may still be mailed with the largest audience."""
    found = installation.sendgrid.ask("user/credits", dict, "user.credits.read")
    needed, left = installation.largest_audience(), found.get("remain")
    if not isinstance(left, int):
        yield ok(f"the account has no fixed number of credits; the largest audience has {needed:,} readers")
        return
    seen = f"{left:,} credits are left, and the largest audience has {needed:,} readers"
    if left >= needed:
        yield ok(seen)
        return
    until = f"; they are renewed on {found['next_reset']}" if found.get("next_reset") else ""
    if found.get("overage"):
        yield warning(f"{seen}; the plan bills what goes beyond", f"see that this is meant{until}")
    else:
        yield problem(seen, f"a mailing would halt halfway: buy credits, or mail a part of the readers{until}")


def clock(installation: Installation) -> Iterator[Result]:
    """Compare our clock with SendGrid's."""
    seconds = installation.sendgrid.seconds_ahead()
    if seconds is None:
        raise Skip("SendGrid said no date to compare with")
    elif abs(seconds) > CLOCK_BEARS.total_seconds():
        side = "ahead of" if seconds > 0 else "behind"
        yield warning(
            f"this machine's clock is {abs(seconds):,.0f} s {side} SendGrid's",
            "let it be set by NTP (timedatectl set-ntp true): slots, link expiry and event times hang on it",
        )
    else:
        yield ok("this machine's clock agrees with SendGrid's")
