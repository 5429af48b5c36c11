"""How a mail arrived: whether its reader gets the unsubscribe button, and whether it is provably ours.

Sources: RFC 8058 §4 (both headers signed, one of each), RFC 8601 (Authentication-Results), Google's sender guidelines
(single headers, alignment), and what is observed of Gmail's clipping.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime

from newsletter.doctor.names import Names
from newsletter.doctor.records import aligned
from newsletter.doctor.results import Check, Result, ok, problem, run, warning
from newsletter.doctor.saved_mail import SavedMail
from newsletter.doctor.signed_mail import signature_holds
from newsletter.preflight.size import BLOCKS_FROM, WARNS_FROM


_HEADERS = ("List-Unsubscribe", "List-Unsubscribe-Post")
_TRACKING = "SendGrid adds its own where Subscription Tracking is on: Settings › Tracking, switch it off"
#: RFC 5322 §3.6 and Google's guidelines: once at most, and the first four must be there.
_NEEDED = ("From", "Date", "Message-ID", "Subject")
_SINGLE = (*_NEEDED, "To", "Cc", "Reply-To", "Sender", "MIME-Version", "Content-Type", "List-Id")
_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")
_AS_SAVED = "save the mail as it arrived (Gmail: Show original › Download original), not a copy or a forward"


@dataclass(frozen=True)
class Arrival:
    """A mail as it arrived, and the names that its signatures are checked with; offline there are none."""

    mail: SavedMail
    names: Names | None


def whole(arrival: Arrival) -> Iterator[Result]:
    """Look whether the file is the mail itself."""
    mail = arrival.mail
    if mail.holds_another() and not mail.values("List-Unsubscribe"):
        yield warning("another mail is attached: this is a forward", _AS_SAVED)
    elif not mail.values("Received"):
        yield warning("no server has stamped it: it did not travel", _AS_SAVED)
    else:
        yield ok(f"it came by way of {len(mail.values('Received'))} servers")


def one_click(arrival: Arrival) -> Iterator[Result]:
    """Look at the way out that mail programs offer as a button."""
    found = {name: arrival.mail.values(name) for name in _HEADERS}
    for name, values in found.items():
        if not values:
            yield problem(f"there is no {name}", "no button is offered; only issues have it: see that this is one")
        elif len(values) > 1:
            yield problem(f"there are {len(values)} {name}: RFC 8058 asks for one", _TRACKING)
    if not all(len(values) == 1 for values in found.values()):
        return
    ways = re.findall(r"<([^<>]*)>", found["List-Unsubscribe"][0])
    https = [way for way in ways if way.lower().startswith("https://")]
    if "=?" in found["List-Unsubscribe"][0]:
        yield problem("List-Unsubscribe holds encoded words, which no mail program reads", "keep the public URL short")
    elif len(https) != 1:
        yield problem(f"List-Unsubscribe holds {len(https)} https addresses: RFC 8058 asks for one", _PUBLIC)
    elif found["List-Unsubscribe-Post"][0] != "List-Unsubscribe=One-Click":
        yield problem("List-Unsubscribe-Post does not say List-Unsubscribe=One-Click", _TRACKING)
    else:
        yield ok(f"one click: {https[0].split('/')[2]}{', and by mail' if len(ways) > 1 else ''}")


_PUBLIC = "set NEWSLETTER_PUBLIC_URL to the https:// address at which readers reach this service"


def coverage(arrival: Arrival) -> Iterator[Result]:
    """Look whether a signature covers both headers of the way out, without which no button is offered."""
    if not (signatures := arrival.mail.signatures):
        yield problem("the mail is not signed (DKIM)", "authenticate the sender's domain; see `newsletter doctor`")
        return
    covering = [one.domain for one in signatures if one.covers(*_HEADERS)]
    if covering:
        yield ok(f"both headers are signed, by {' and '.join(dict.fromkeys(covering))}")
        return
    lacking = sorted({name for one in signatures for name in _HEADERS if not one.covers(name)})
    yield problem(
        f"no signature covers {' and '.join(lacking)}: mail programs offer no one-click (RFC 8058 §4)",
        "ask SendGrid's support; its mails have covered both since 2024",
    )


def signed(arrival: Arrival) -> Iterator[Result]:
    """Check the signatures themselves against the keys in the DNS."""
    yield from signature_holds(arrival.mail, arrival.names)


def verdicts(arrival: Arrival) -> Iterator[Result]:
    """Read what the receiver's server found."""
    found = arrival.mail.verdicts
    if not found:
        yield warning("the receiver's server says nothing about authentication", _AS_SAVED)
        return
    for method in ("spf", "dkim", "dmarc"):
        said = found.get(method, ())
        # One signature that passes is enough; SendGrid's own beside it does no harm.
        if "pass" in said:
            yield ok(f"{method}=pass")
        elif said:
            yield problem(f"{method}={said[0]}", "see the checks spf, dkim and dmarc of `newsletter doctor`")
        else:
            yield warning(f"the receiver's server says nothing of {method}", "try another mailbox, such as Gmail's")


def alignment(arrival: Arrival) -> Iterator[Result]:
    """Look whether the domain in From is the one that signed."""
    domains = arrival.mail.sender_domains
    if len(domains) != 1:
        yield problem(f"From holds {len(domains)} addresses: receivers ask for one", _TRACKING_FROM)
        return
    signers = [one.domain for one in arrival.mail.signatures]
    if any(aligned(domains[0], signer) for signer in signers):
        yield ok(f"a signature is aligned with From {domains[0]}")
    else:
        by = " and ".join(dict.fromkeys(signers)) or "nobody"
        yield problem(f"From is {domains[0]}, and {by} signed: DMARC does not pass", f"authenticate {domains[0]}")


_TRACKING_FROM = "see the sender with `newsletter publication show`"


def headers(arrival: Arrival) -> Iterator[Result]:
    """Look at the headers that must be there, and at those that may be there once."""
    mail = arrival.mail
    counts = {name: len(mail.values(name)) for name in _SINGLE}
    if missing := [name for name in _NEEDED if not counts[name]]:
        yield problem(f"there is no {', no '.join(missing)}", _AS_SAVED)
    if twice := [name for name, count in counts.items() if count > 1]:
        yield problem(f"more than once: {', '.join(twice)}; Gmail refuses such mail", "find what rewrites mail")
    if (ids := mail.values("Message-ID")) and not _MESSAGE_ID.fullmatch(ids[0]):
        yield warning("Message-ID is not of the form <id@host>", _AS_SAVED)
    if (dates := mail.values("Date")) and not _is_date(dates[0]):
        yield warning("Date cannot be read", _AS_SAVED)
    if not missing and not twice:
        yield ok("every header that must be there is there, and each once")


def size(arrival: Arrival) -> Iterator[Result]:
    """Look at the HTML part: whether Gmail clips it, and in which charset SendGrid sent it."""
    html = [part for part in arrival.mail.parts() if part.get_content_type() == "text/html"]
    if not html:
        yield warning("there is no HTML part", "see that this is an issue")
        return
    length = len(_text(html[0]).encode())
    if length > BLOCKS_FROM:
        yield problem(f"the HTML has {length:,} bytes; Gmail clips at about {BLOCKS_FROM:,}", "shorten the issue")
    elif length > WARNS_FROM:
        yield warning(f"the HTML has {length:,} bytes; Gmail clips at about {BLOCKS_FROM:,}", "shorten the issue")
    else:
        yield ok(f"the HTML has {length:,} bytes")
    charset = (html[0].get_content_charset() or "us-ascii").lower()
    if charset not in {"utf-8", "us-ascii"}:
        # SendGrid chooses the charset by the bytes, and Gmail clips iso-8859-1 whatever its length.
        yield problem(f"the HTML came as {charset}, which Gmail clips", "keep the theme's zero-width character")


def _text(part: Message) -> str:
    content = part.get_payload(decode=True)
    data = content if isinstance(content, bytes) else str(content).encode("utf-8", "replace")
    try:
        return data.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return data.decode("latin-1")


def _is_date(value: str) -> bool:
    try:
        return bool(parsedate_to_datetime(value))
    except ValueError:
        return False


CHECKS: Mapping[str, Check[Arrival]] = {
    "file": whole,
    "one-click": one_click,
    "dkim-coverage": coverage,
    "dkim-signature": signed,
    "verdicts": verdicts,
    "alignment": alignment,
    "headers": headers,
    "size": size,
}


def examine_mail(raw: bytes, names: Names | None) -> tuple[Result, ...]:
    """Make every check of a saved mail.

    Raises:
        Refused: The file holds no mail.
    """
    return run(CHECKS, Arrival(SavedMail(raw), names))
