"""Whether every link leads somewhere from a mail, and says where."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.issues.fields import target_of
from newsletter.issues.inline import Link, Picture, plain, walk
from newsletter.preflight.edition import Edition, Finding, Severity, part
from newsletter.rendering.links import FOLLOWABLE, Links


#: Words that say nothing where a screen reader lists the links of a mail (WCAG 2.2, §2.4.9).
_VAGUE = frozenset(
    {"这里", "此处", "点击", "点这里", "点此", "点击这里", "点击此处", "链接", "详情", "更多", "查看", "阅读", "这个"}
    | {"here", "click here", "click", "link", "this", "more", "read more", "this link"}
)
#: What somebody means who leaves `https://` out.
_HOST = re.compile(
    r"(?:www\.|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|cn|io|ai|dev|app|co|edu|gov|info)(?:[/:?#]|$))", re.IGNORECASE
)


def check(edition: Edition) -> Iterator[Finding]:
    """Find links that lead nowhere, have no words, or have words that do not tell them apart."""
    resolver = Links((edition.document.front.site_url or edition.face.site_url).rstrip("/"))
    targets: dict[str, dict[str, str]] = {}
    for place, one in edition.inlines():
        if not isinstance(one, Link) or target_of(one.target):
            continue
        for severity, message in _findings(one, resolver):
            yield Finding("links", severity, message, place)
        targets.setdefault(plain(one.children).strip(), {}).setdefault(one.target, place)
    yield from _not_told_apart(targets)
    yield from _not_absolute(edition)


def _findings(link: Link, resolver: Links) -> Iterator[tuple[Severity, str]]:
    words = plain(link.children).strip()
    if not words and not any(isinstance(one, Picture) for one in walk(link.children)):
        yield Severity.warning, f"the link to {link.target!r} has no words: write some"
    elif words.casefold() in _VAGUE:
        yield Severity.warning, f"“{words}” does not say where it leads: name what is there"
    if link.target.startswith("#"):
        yield (
            Severity.note,
            f"“{words}” leads to a place in the text; mail programs cannot follow it, so it is plain text",
        )
    elif _looks_like_a_host(link.target):
        yield Severity.warning, f"{link.target!r} leads to a page of your own site: write https:// before it"
    elif not link.target.strip():
        yield Severity.warning, f"“{words}” has no address: write one, or take the link out"
    elif resolver.resolve(link.target) is None and resolver.site_url:
        yield Severity.warning, f"{link.target!r} cannot be followed from a mail: write an https:// address"


def _looks_like_a_host(target: str) -> bool:
    return bool(_HOST.match(target.strip()))


def _not_told_apart(targets: dict[str, dict[str, str]]) -> Iterator[Finding]:
    for words, addresses in targets.items():
        if words and words.casefold() not in _VAGUE and len(addresses) > 1:
            message = f"{len(addresses)} links to different places all say “{words}”: tell them apart by their words"
            yield Finding("links", Severity.note, message, list(addresses.values())[1])


def _not_absolute(edition: Edition) -> Iterator[Finding]:
    for rendering in edition.renderings:
        for link in rendering.links:
            if urlsplit(link).scheme not in FOLLOWABLE:
                yield Finding(
                    "links", Severity.blocker, f"{link!r} is not absolute: give the site's address", part(rendering)
                )
