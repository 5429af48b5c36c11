"""Whether a plan's mail holds anything of what that plan may not read: the proof before every send (DESIGN §4.7).

The proof does not trust ``access.cut``. It goes through the values of the whole document by itself, whatever kinds of
blocks there are, notes for each piece of text which plans are asked for around it, and looks for fragments of the
forbidden pieces in everything that a plan's readers get.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass

from newsletter.issues.access import ReaderPlan
from newsletter.issues.blocks import Restricted
from newsletter.issues.document import Document
from newsletter.preflight.edition import Edition, Finding, Severity, part
from newsletter.rendering.mail import Face, Rendering


#: A fragment is this many characters in a row, spaces left out. A shorter piece counts where it stands alone.
FRAGMENT = 8
SHORTEST = 5
#: What blocks and nodes hold beside their text.
_NOT_TEXT = frozenset({"alignments", "kind", "style", "language", "plans"})
_HIDDEN = re.compile(r"<(style|mj-style|mj-attributes)\b.*?</\1>|<!--.*?-->", re.DOTALL)
_SAID_BY_ATTRIBUTES = re.compile(r"\b(?:href|src|alt|title)=\"([^\"]*)\"")


@dataclass(frozen=True)
class Passage:
    """A piece of text, and the plans asked for by each container around it."""

    text: str
    demands: tuple[tuple[str, ...], ...]

    def is_for(self, plan: ReaderPlan) -> bool:
        """Tell whether a plan meets every demand."""
        readable = {plan.code, *plan.includes}
        return all(readable & set(demand) for demand in self.demands)


def check(edition: Edition) -> Iterator[Finding]:
    """Find plans whose mail holds what they may not read."""
    passages = tuple(passages_of(edition.document))
    plans = {plan.code: plan for plan in edition.plans}
    for rendering in edition.renderings:
        if leaked := leaks(passages, plans[rendering.plan], edition.face, rendering):
            message = f"the mail holds “{leaked[0]}”, which this plan may not read: take it out of what everybody reads"
            yield Finding("leak", Severity.blocker, message, part(rendering))


def leaks(passages: tuple[Passage, ...], plan: ReaderPlan, face: Face, rendering: Rendering) -> list[str]:
    """List the fragments of what a plan may not read that stand in its mail, and in nothing that it may read."""
    forbidden = [passage.text for passage in passages if not passage.is_for(plan)]
    if not forbidden:
        return []
    ours = (face.name, face.site_url, face.postal_address, face.subscribe_url, face.upgrade_url, face.standing_footer)
    readable = (passage.text for passage in passages if passage.is_for(plan))
    allowed = "\n".join(map(_dense, (*ours, *face.plan_names.values(), *readable)))
    pieces = {_dense(piece) for piece in surfaces_of(rendering)}
    grams = {piece[start : start + FRAGMENT] for piece in pieces for start in range(len(piece) - FRAGMENT + 1)}
    fragments = dict.fromkeys(one for text in forbidden for one in _fragments(text))
    return [one for one in fragments if one in (grams if len(one) == FRAGMENT else pieces) and one not in allowed]


def surfaces_of(rendering: Rendering) -> Iterator[str]:
    """Go through everything in a rendering that a reader could get at, whole and piece by piece, without its styles."""
    yield from (rendering.subject, rendering.preheader, rendering.byline, rendering.text, *rendering.links)
    yield from rendering.text.splitlines()
    for markup in (rendering.html, rendering.mjml):
        shown = _HIDDEN.sub("", markup)
        yield from (html.unescape(said) for said in _SAID_BY_ATTRIBUTES.findall(shown))
        pieces = [html.unescape(piece) for piece in re.split(r"<[^>]*>", shown)]
        yield from pieces
        yield "".join(pieces)


def passages_of(document: Document) -> Iterator[Passage]:
    """Go through every text of a document, in whatever kind of block or node it stands."""
    # Title and byline are for everybody, also those of an issue for certain plans.
    yield from (Passage(document.title, ()), Passage(document.byline, ()))
    whole = (document.front.plans,) if document.front.plans is not None else ()
    yield from _passages(document.blocks, whole)


def _passages(value: object, demands: tuple[tuple[str, ...], ...]) -> Iterator[Passage]:
    if isinstance(value, str):
        yield Passage(value, demands)
    elif isinstance(value, tuple):
        for one in value:
            yield from _passages(one, demands)
    elif isinstance(value, Restricted):
        # The teaser is for everybody; only what is inside is not.
        yield Passage(value.teaser, demands)
        yield from _passages(value.blocks, (*demands, value.plans))
    elif is_dataclass(value):
        for field in fields(value):
            if field.name not in _NOT_TEXT:
                yield from _passages(getattr(value, field.name), demands)


def _fragments(text: str) -> Iterator[str]:
    dense = _dense(text)
    if SHORTEST <= len(dense) < FRAGMENT:
        yield dense
    for start in range(len(dense) - FRAGMENT + 1):
        yield dense[start : start + FRAGMENT]


def _dense(text: str) -> str:
    return "".join(text.split())
