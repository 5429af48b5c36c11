"""Whether the big mail programs can show the HTML and CSS that a mail uses, by the figures of caniemail.

The figures stand in ``client_support.json``, which ``tests/node/client-figures.mjs`` makes; what is harmless here, and
how to do without the rest, stands in ``client_advice``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from newsletter.preflight.client_advice import HARMLESS, mend
from newsletter.preflight.edition import Edition, Finding, Severity, part
from newsletter.preflight.mail_features import features
from newsletter.preflight.mail_source import read_mail


#: Where nearly all readers are: what one of these cannot do at all is worth a warning.
BIG = ("gmail.", "apple-mail.", "outlook.outlook-com", "outlook.windows", "yahoo.")
#: Gmail drops the whole style block or attribute that holds them, so partly is as bad as not.
POISONOUS = frozenset({"css-rgb"})


@dataclass(frozen=True)
class Figures:
    """The file of figures: a letter for each client (yes, almost, no, unknown) under each feature."""

    date: str
    clients: dict[str, str]
    features: dict[str, str]

    def lacking(self, feature: str, letter: str) -> dict[str, str]:
        """Say which clients have this letter for a feature: their names, by their keys."""
        pairs = zip(self.clients.items(), self.features[feature], strict=True)
        return {key: name for (key, name), figure in pairs if figure == letter}


def check(edition: Edition) -> Iterator[Finding]:
    """Find features that a client does not show."""
    for rendering in edition.renderings:
        for feature in sorted(_doubtful(rendering.html)):
            yield from _judge(feature, part(rendering))


@cache
def figures() -> Figures:
    """The figures as shipped."""
    table = json.loads(Path(__file__).with_name("client_support.json").read_text(encoding="utf-8"))
    return Figures(table["date"], table["clients"], table["features"])


@lru_cache(maxsize=64)
def _doubtful(html: str) -> frozenset[str]:
    return features(read_mail(html), figures().features.keys()) - HARMLESS.keys()


def _judge(feature: str, where: str) -> Iterator[Finding]:
    without, partly = (figures().lacking(feature, letter) for letter in "na")
    if not without and not partly:
        return
    bad = feature in POISONOUS or any(key.startswith(BIG) for key in without)
    lacks = {"not supported by": without, "only partly supported by": partly}
    told = ", and ".join(f"{how} {', '.join(who.values())}" for how, who in lacks.items() if who)
    message = (
        f"{feature.replace('-', ': ', 1)} is {told}: {mend(feature)}, or see that the mail reads well without it"
        f" (caniemail, {figures().date})"
    )
    yield Finding("client-support", Severity.warning if bad else Severity.note, message, where)
