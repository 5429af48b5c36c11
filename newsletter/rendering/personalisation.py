"""Personalisation: substitution tags stand in a rendering, and each reader's values go beside it in the request. Pure.

One tag for each field and place it lands in, since HTML, text and addresses escape differently. A tag holds a nonce
made from the issue's source: no author can write one (docs/decisions/0004).
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Place(StrEnum):
    """Where a value lands, and so how it is escaped."""

    html = "html"
    text = "text"


@dataclass(frozen=True)
class ReaderValues:
    """What one reader's mail says that no other's does; ``name`` may be empty."""

    name: str
    unsubscribe_url: str


#: What a rendering shows that is looked at without a reader. The id is nobody's.
SAMPLE = ReaderValues(name="", unsubscribe_url="https://example.com/u/sample")


@dataclass(frozen=True)
class Tags:
    """The tags of one rendering.

    Attributes:
        nonce: Cannot occur in the issue's source.
        nameless: How a reader without a name is addressed.
    """

    nonce: str
    nameless: str

    def name(self, place: Place) -> str:
        """The tag of the reader's name."""
        return f"-{self.nonce}.name.{place}-"

    @property
    def unsubscribe_url(self) -> str:
        """The tag of the reader's own link; it holds nothing that any place would escape."""
        return f"-{self.nonce}.unsubscribe-"


def substitutions(tags: Tags, values: ReaderValues) -> dict[str, str]:
    """Give a reader's values by tag, escaped for where each lands. No value can hold a tag or break a line."""
    name = " ".join(values.name.replace(tags.nonce, "").split()) or tags.nameless
    return {
        tags.name(Place.html): html.escape(name),
        tags.name(Place.text): name,
        tags.unsubscribe_url: values.unsubscribe_url,
    }


def fill(text: str, substituted: Mapping[str, str]) -> str:
    """Replace the tags in a text as the provider does, for people to look at."""
    for tag, value in substituted.items():
        text = text.replace(tag, value)
    return text
