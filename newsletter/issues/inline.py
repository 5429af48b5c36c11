"""Inline nodes: what stands inside a line of an issue. Pure values; made by ``reading``, read by the renderer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from newsletter.issues.blocks import Blocks


@dataclass(frozen=True)
class Text:
    """Plain characters."""

    text: str


@dataclass(frozen=True)
class Break:
    """The end of a line; ``hard`` where the author wants it seen."""

    hard: bool


@dataclass(frozen=True)
class CodeSpan:
    """Characters to be shown as code."""

    text: str


@dataclass(frozen=True)
class Field:
    """A personal field, such as ``{{ name | default("reader") }}``, with what it says where there is no value."""

    name: str
    default: str = ""

    def __str__(self) -> str:
        """Give the field as an author writes it."""
        return f'{{{{ {self.name} | default("{self.default}") }}}}' if self.default else f"{{{{ {self.name} }}}}"


@dataclass(frozen=True)
class Picture:
    """An image in the text; ``width`` in CSS pixels where the author gave one."""

    source: str
    alternative: str
    width: int | None = None


@dataclass(frozen=True)
class Footnote:
    """A mark whose note stands at the end of the issue; marks of one label share the note."""

    label: str
    blocks: "Blocks"


@dataclass(frozen=True)
class Emphasis:
    """Stressed text."""

    children: "Inlines"


@dataclass(frozen=True)
class Strong:
    """Bold text: labels, mostly."""

    children: "Inlines"


@dataclass(frozen=True)
class Struck:
    """Text that no longer holds."""

    children: "Inlines"


@dataclass(frozen=True)
class Styled:
    """Text in one of the styles that only HTML has: ``sub``, ``sup``, ``u``, ``mark`` or ``kbd``."""

    style: str
    children: "Inlines"


@dataclass(frozen=True)
class Link:
    """Text that leads somewhere; the target as the author wrote it."""

    target: str
    children: "Inlines"
    button: bool = False


Leaf = Text | Break | CodeSpan | Field | Picture | Footnote
Wrapping = Emphasis | Strong | Struck | Styled | Link
Inline = Leaf | Wrapping
Inlines = tuple[Inline, ...]


def plain(inlines: Iterable[Inline]) -> str:
    """Give what a reader would hear: the text without its marks and notes, line ends as spaces."""
    return "".join(_plain(one) for one in inlines)


def _plain(one: Inline) -> str:
    match one:
        case Text(text) | CodeSpan(text):
            return text
        case Break():
            return " "
        case Picture():
            return one.alternative
        case Footnote():
            return ""
        case Field():
            return str(one)
        case _:
            return plain(one.children)


def walk(inlines: Iterable[Inline]) -> Iterator[Inline]:
    """Go through inline nodes and everything inside them, in reading order; not into footnotes."""
    for one in inlines:
        yield one
        if isinstance(one, Wrapping):
            yield from walk(one.children)
