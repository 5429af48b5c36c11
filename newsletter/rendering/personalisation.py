"""Personalisation: substitution tags stand in a rendering, and each reader's values go beside it in the request. Pure.

One tag for each field, default and place it lands in, since HTML, text and subject escape differently. A tag holds a
nonce made from the issue's source: no author can write one (docs/decisions/0004).
"""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from newsletter.issues.fields import split
from newsletter.issues.inline import Field, Text


class Place(StrEnum):
    """Where a value lands, and so how it is escaped."""

    html = "html"
    text = "text"
    subject = "subject"


@dataclass(frozen=True)
class ReaderValues:
    """What one reader's mail says that no other's does; ``name`` may be empty.

    ``masked_address`` tells the reader, and nobody to whom the mail is forwarded, which address it was sent to.
    """

    name: str
    masked_address: str
    unsubscribe_url: str
    preferences_url: str
    read_url: str


#: What a rendering shows that is looked at without a reader. The ids are nobody's.
SAMPLE = ReaderValues(
    name="",
    masked_address="a***@e**.com",
    unsubscribe_url="https://example.com/u/sample",
    preferences_url="https://example.com/preferences/sample",
    read_url="https://example.com/read/sample",
)
#: Controls and line ends, which could begin a header or a line; and marks that turn the direction of what follows.
_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
#: Where a value may hold what a place would escape; addresses of pages do not, so that one tag of each serves all.
_ESCAPED = frozenset({"name", "masked_address"})
#: The fields that every reader has another value for; the other ones are known when a mail is rendered.
PERSONAL = frozenset(ReaderValues.__dataclass_fields__)


@dataclass(frozen=True)
class Substitution:
    """A tag of a rendering, and what each reader's value takes its place."""

    tag: str
    field: str
    place: Place
    default: str = ""

    def value(self, values: ReaderValues, nonce: str) -> str:
        """Give a reader's value, escaped for where it lands. It holds no tag and breaks no line."""
        said = str(getattr(values, self.field)).replace(nonce, "")
        shown = " ".join(_BREAKING.sub(" ", said).split()) or self.default
        return html.escape(shown) if self.place is Place.html else shown


@dataclass
class Tags:
    """The tags of one rendering, made as they are asked for.

    Attributes:
        nonce: Cannot occur in the issue's source.
        nameless: How a reader without a name is addressed where the author does not say.
        known: The values of the fields that are the same for every reader.
    """

    nonce: str
    nameless: str
    known: Mapping[str, str]
    _made: dict[tuple[str, Place, str], Substitution] = field(default_factory=dict)

    def write(self, one: Field, place: Place) -> str:
        """Write a field for a place: a known value as it is shown there, a personal one as its tag."""
        if one.name in PERSONAL:
            return self._tag(one.name, place, one.default or (self.nameless if one.name == "name" else ""))
        shown = (self.known.get(one.name) or one.default) if one.name in self.known else str(one)
        return html.escape(shown) if place is Place.html else shown

    def fill(self, line: str, place: Place) -> str:
        """Write a line that may hold fields, such as a title; its text is escaped for the place."""
        pieces = (one.text if isinstance(one, Text) else one for one in split(line))
        return "".join(
            self.write(piece, place)
            if isinstance(piece, Field)
            else html.escape(piece)
            if place is Place.html
            else piece
            for piece in pieces
        )

    def name(self, place: Place) -> str:
        """The tag of the reader's name."""
        return self.write(Field("name"), place)

    def masked_address(self, place: Place) -> str:
        """The tag of the address that the mail is sent to, masked."""
        return self._tag("masked_address", place, "")

    @property
    def unsubscribe_url(self) -> str:
        """The tag of the reader's own way out."""
        return self._tag("unsubscribe_url", Place.text, "")

    @property
    def preferences_url(self) -> str:
        """The tag of the reader's own settings."""
        return self._tag("preferences_url", Place.text, "")

    @property
    def read_url(self) -> str:
        """The tag of this mail's address in the browser."""
        return self._tag("read_url", Place.text, "")

    @property
    def made(self) -> tuple[Substitution, ...]:
        """Every tag that was asked for."""
        return tuple(self._made.values())

    def _tag(self, name: str, place: Place, default: str) -> str:
        place = place if name in _ESCAPED else Place.text
        if (key := (name, place, default)) not in self._made:
            self._made[key] = Substitution(f"-{self.nonce}.{len(self._made)}-", name, place, default)
        return self._made[key].tag


class PublicTags(Tags):
    """The tags of a page that is nobody's own: in their place stands what an author says where there is no value.

    A reader's own addresses have no other value: nothing stands there.
    """

    def _tag(self, name: str, place: Place, default: str) -> str:
        shown = default if name == "name" else ""
        return html.escape(shown) if place is Place.html else shown


def nonce_of(substitutions: Iterable[Substitution]) -> str:
    """Give the nonce that a rendering's tags hold."""
    return next((one.tag.strip("-").split(".")[0] for one in substitutions), "")


def values_by_tag(substitutions: Iterable[Substitution], values: ReaderValues) -> dict[str, str]:
    """Give a reader's values by tag."""
    made = tuple(substitutions)
    nonce = nonce_of(made)
    return {one.tag: one.value(values, nonce) for one in made}


def fill(text: str, substituted: Mapping[str, str]) -> str:
    """Replace the tags in a text as the provider does, for people to look at."""
    for tag, value in substituted.items():
        text = text.replace(tag, value)
    return text
