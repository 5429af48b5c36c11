"""Inline nodes: what stands inside a line of an issue. Pure; used by ``document`` and read by the renderer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markdown_it.tree import SyntaxTreeNode


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
class Picture:
    """An image in the text."""

    source: str
    alternative: str


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
class Link:
    """Text that leads somewhere; the target as the author wrote it."""

    target: str
    children: "Inlines"


Inline = Text | Break | CodeSpan | Picture | Emphasis | Strong | Struck | Link
Inlines = tuple[Inline, ...]

_CONTAINERS: Mapping[str, Callable[[Inlines], Inline]] = {"em": Emphasis, "strong": Strong, "s": Struck}


def read_inlines(nodes: Sequence[SyntaxTreeNode]) -> Inlines:
    """Read markdown-it's inline nodes as ours, in order; neighbouring pieces of plain text become one."""
    read: list[Inline] = []
    for node in nodes:
        one = _read(node)
        if isinstance(one, Text) and read and isinstance(read[-1], Text):
            read[-1] = Text(read[-1].text + one.text)
        elif one != Text(""):
            read.append(one)
    return tuple(read)


def _read(node: SyntaxTreeNode) -> Inline:
    if container := _CONTAINERS.get(node.type):
        return container(read_inlines(node.children))
    if node.type == "link":
        return Link(str(node.attrs.get("href", "")), read_inlines(node.children))
    if node.type == "image":
        return Picture(str(node.attrs.get("src", "")), plain(read_inlines(node.children)))
    if node.type == "code_inline":
        return CodeSpan(node.content)
    if node.type in {"softbreak", "hardbreak"}:
        return Break(hard=node.type == "hardbreak")
    return Text(node.content)


def plain(inlines: Iterable[Inline]) -> str:
    """Give what a reader would hear: the text without its marks, line ends as spaces."""
    return "".join(_plain(one) for one in inlines)


def _plain(one: Inline) -> str:
    match one:
        case Text(text) | CodeSpan(text):
            return text
        case Break():
            return " "
        case Picture():
            return one.alternative
        case _:
            return plain(one.children)
