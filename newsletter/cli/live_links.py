"""`issue check --live`: whether every link of an issue answers. The one check that goes out to the network."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import requests

from newsletter.issues.inline import Link, Picture
from newsletter.preflight.edition import Edition, Finding, Severity
from newsletter.rendering.links import Links


#: Seconds to wait for a connection, and for an answer.
TIMEOUT = (5, 10)
#: Links asked at the same time; few enough not to look like an attack where they all lead to one host.
AT_ONCE = 8
_BROKEN_FROM = 400
#: The page is there, and a program may not see it.
_GUARDED = frozenset({401, 403, 429})
_HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; newsletter-preflight)", "Accept": "text/html,*/*"}


def addresses_of(edition: Edition) -> dict[str, str]:
    """Give every web address that an edition leads to or shows an image from, with the place of its first use."""
    resolver = Links((edition.document.front.site_url or edition.face.site_url).rstrip("/"))
    found: dict[str, str] = {}
    for place, one in edition.inlines():
        target = one.target if isinstance(one, Link) else one.source if isinstance(one, Picture) else ""
        if (address := resolver.resolve(target)) and address.startswith(("http://", "https://")):
            found.setdefault(address, place)
    return found


def probe(places: Mapping[str, str], *, done: Callable[[], object]) -> Iterator[Finding]:
    """Ask every address for an answer, several at a time; ``done`` is called after each."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for finding in threads.map(_finding, places, places.values()):
            done()
            if finding:
                yield finding


def _finding(link: str, place: str) -> Finding | None:
    try:
        status = _status(link)
    except requests.RequestException as error:
        return Finding("live-links", Severity.warning, f"{link} does not answer ({_reason(error)})", place)
    if status in _GUARDED:
        return Finding("live-links", Severity.note, f"{link} answers {status}: look at it in a browser", place)
    if status >= _BROKEN_FROM:
        return Finding("live-links", Severity.warning, f"{link} answers {status}: mend the address", place)
    return None


def _status(link: str) -> int:
    with suppress(requests.RequestException):
        status = requests.head(link, headers=_HEADERS, timeout=TIMEOUT, allow_redirects=True).status_code
        if status < _BROKEN_FROM:
            return int(status)
    # Many servers do not know HEAD, each in its own way. Of the body nothing is read.
    with requests.get(link, headers=_HEADERS, timeout=TIMEOUT, stream=True) as answer:
        return int(answer.status_code)


def _reason(error: requests.RequestException) -> str:
    known: Sequence[tuple[type[Exception], str]] = (
        (requests.Timeout, "no answer in time"),
        (requests.exceptions.SSLError, "its certificate is not valid"),
        (requests.TooManyRedirects, "it leads round in circles"),
        (requests.ConnectionError, "no connection"),
    )
    return next((words for kind, words in known if isinstance(error, kind)), "no answer that can be read")
