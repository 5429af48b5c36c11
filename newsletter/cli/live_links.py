"""`issue check --live`: whether every link of an issue answers. The one check that goes out to the network."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from newsletter.preflight.edition import Finding, Severity


#: Seconds to wait for a connection, and for an answer.
TIMEOUT = (5, 10)
#: Links asked at the same time; few enough not to look like an attack where they all lead to one host.
AT_ONCE = 8
#: Answers by which a server says that it does not like HEAD, or who asks; a GET tells more.
_ASK_AGAIN = frozenset({400, 403, 404, 405, 406, 429, 501, 503})
_BROKEN_FROM = 400
#: The page is there, and a program may not see it.
_GUARDED = frozenset({401, 403, 429})
_HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; newsletter-preflight)", "Accept": "text/html,*/*"}


def probe(links: Iterable[str], *, done: Callable[[], object]) -> Iterator[Finding]:
    """Ask every link for an answer, several at a time; ``done`` is called after each."""
    web = [link for link in dict.fromkeys(links) if link.startswith(("http://", "https://"))]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for finding in threads.map(_finding, web):
            done()
            if finding:
                yield finding


def _finding(link: str) -> Finding | None:
    try:
        status = _status(link)
    except requests.RequestException as error:
        return Finding("live-links", Severity.warning, f"{link} does not answer ({_reason(error)})", "links")
    if status in _GUARDED:
        return Finding("live-links", Severity.note, f"{link} answers {status}: look at it in a browser", "links")
    if status >= _BROKEN_FROM:
        return Finding("live-links", Severity.warning, f"{link} answers {status}: mend the address", "links")
    return None


def _status(link: str) -> int:
    status = requests.head(link, headers=_HEADERS, timeout=TIMEOUT, allow_redirects=True).status_code
    if status in _ASK_AGAIN:
        # Nothing of the body is read: the answer's first line is what is asked for.
        with requests.get(link, headers=_HEADERS, timeout=TIMEOUT, stream=True) as answer:
            status = answer.status_code
    return int(status)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not valid"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
