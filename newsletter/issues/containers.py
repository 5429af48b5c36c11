"""Containers: what the opening line of a ``:::`` block says. Pure; asked by ``reading``.

A kind, a plan or an option that is not understood is an error, never text: a mistyped ``::: paln pro`` would else
show paid content to everybody.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from newsletter.errors import BadIssue
from newsletter.issues.blocks import Blocks, Callout, Enclosing, Restricted, Sponsor
from newsletter.issues.inline import Inlines


#: The words for callouts in use elsewhere (VitePress, GitHub), and ours.
CALLOUTS = {
    "note": "note",
    "info": "note",
    "details": "note",
    "tip": "tip",
    "important": "warning",
    "warning": "warning",
    "caution": "danger",
    "danger": "danger",
}
_WORD = re.compile(r"(?:(?P<option>[\w-]+)\s*=\s*)?(?:\"(?P<straight>[^\"]*)\"|“(?P<curly>[^”]*)”|(?P<bare>[^\s\"“]+))")


@dataclass(frozen=True)
class Opening:
    """An opening line, read: the kind, its words, and its ``option="value"`` pairs."""

    kind: str
    words: tuple[str, ...]
    options: Mapping[str, str]
    line: int

    def enclose(self, title: Inlines, blocks: Blocks) -> Enclosing:
        """Make the block that this line opens; ``title`` is its words as a line of text, which only callouts show."""
        if self.kind in CALLOUTS:
            return Callout(CALLOUTS[self.kind], title, blocks, self.line)
        return _MAKERS[self.kind](self, blocks)


def read_opening(info: str, line: int) -> Opening:
    """Read what follows the colons.

    Raises:
        BadIssue: The kind, a plan or an option is missing or unknown.
    """
    kind, _, rest = info.strip().partition(" ")
    known = (*_OPTIONS, *CALLOUTS)
    if kind not in known:
        raise BadIssue(f"`::: {kind}` opens nothing we know; write one of: {', '.join(known)}", line)
    if kind in CALLOUTS:
        return Opening(kind, (), {}, line)
    words, options = list[str](), dict[str, str]()
    for match in _WORD.finditer(rest):
        value = next(said for said in (match["straight"], match["curly"], match["bare"]) if said is not None)
        if match["option"]:
            options[match["option"]] = value.strip()
        else:
            words.append(value.strip())
    if unknown := set(options) - {_OPTIONS.get(kind)}:
        raise BadIssue(f"`::: {kind}` has no option {', '.join(sorted(unknown))}", line)
    return Opening(kind, tuple(words), options, line)


def _restricted(opening: Opening, blocks: Blocks) -> Restricted:
    plans = tuple(plan for word in opening.words for plan in re.split(r"[,，、]", word) if plan)
    if not plans:
        raise BadIssue("`::: plan` must say for which plans, such as `::: plan pro`", opening.line)
    return Restricted(plans, opening.options.get("teaser", ""), blocks, opening.line)


def _sponsor(opening: Opening, blocks: Blocks) -> Sponsor:
    return Sponsor(" ".join(opening.words), opening.options.get("label", ""), blocks, opening.line)


_OPTIONS = {"plan": "teaser", "sponsor": "label"}
_MAKERS: Mapping[str, Callable[[Opening, Blocks], Enclosing]] = {
    "plan": _restricted,
    "sponsor": _sponsor,
}
