"""A forwarded mail: whose it was. Reads every id out of it by which a subscription can be found. Pure, but for bytes.

People forward in all ways: as an attachment, inline behind ``>``, with lines broken in the middle of a link, through a
gateway that wraps links into its own. So nothing is asked of the form: whatever looks like one of our links is taken,
and the store decides, since no one guesses 128 bits.
"""

import base64
import binascii
import html
import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from urllib.parse import unquote


#: Forwards in forwards; more is nobody's mail.
DEEPEST = 10
#: Wrapped by one gateway, and by the next.
_LAYERS = 4
_FOREVER = re.compile(r"/(?:u|preferences)/([A-Za-z0-9_-]{22})")
_SIGNED = re.compile(r"/(confirm|read|sign-in)/([A-Za-z0-9_.-]{20,200})")
#: Where a line was broken, maybe within a link; not where a paragraph ends.
#: Each run of blanks is looked at once, whatever a stranger fills a mail with: this is read from an open address, too.
_BROKEN_LINE = re.compile(r"(?<![ \t])[ \t]*+\r?\n[> \t]*+(?=[^\s>])")
_SOFT_LINE_END = re.compile(r"=[ \t]*+\r?\n[> \t]*+")
#: Longer headers are nobody's; decoding them takes time that grows with the square of their length.
_LONGEST_HEADER = 2_000


@dataclass(frozen=True)
class Clues:
    """What may name a subscription, in the order it was found: ids of links that last, and tokens of those that end."""

    unsubscribe_ids: tuple[str, ...]
    tokens: tuple[tuple[str, str], ...]


def clues_in(content: bytes) -> Clues:
    """Read the clues out of a mail's file, whatever it is wrapped in; none where it holds no link of ours."""
    try:
        return clues_in_texts(_texts(message_from_bytes(content), DEEPEST))
    except RecursionError:
        # Parts in parts in parts, as no mail program nests them: read as the text that it is.
        return clues_in_texts([content.decode("latin-1")])


def clues_in_texts(texts: Iterable[str]) -> Clues:
    """Read the clues out of texts of a mail, each in each of the ways it can be read."""
    readings = list(_readings(texts))
    ids = dict.fromkeys(one for text in readings for one in _FOREVER.findall(text))
    tokens = dict.fromkeys((kind, token) for text in readings for kind, token in _SIGNED.findall(text))
    return Clues(tuple(ids), tuple(tokens))


def _readings(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for plain in dict.fromkeys(_unwrapped(text)):
            yield plain
            yield _BROKEN_LINE.sub("", plain)


def _texts(mail: Message, depth: int) -> Iterator[str]:
    """Give the headers and text of every part, attached mails included."""
    for part in mail.walk():
        yield from (header_text(value) for _, value in part.raw_items())
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            continue
        text = _decoded(content, part.get_content_charset())
        yield text
        if depth and (inner := _mail_in(part, content, text)):
            yield from _texts(message_from_bytes(inner), depth - 1)


def header_text(value: object) -> str:
    """Give a header as it stands, and decoded where it is encoded."""
    text = str(value)[:_LONGEST_HEADER]
    try:
        return f"{text}\n{make_header(decode_header(text))}"
    except (LookupError, ValueError, UnicodeError):
        return text


def _decoded(content: bytes, charset: str | None) -> str:
    """Read bytes as text; ids are ASCII, so that a charset that nobody knows costs nothing."""
    try:
        return content.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return content.decode("latin-1")


def _mail_in(part: Message, content: bytes, text: str) -> bytes:
    """Give a mail that stands in a part as a file, or in Base64 where no standard would have it."""
    name = str(part.get_filename() or "").lower()
    if name.endswith((".eml", ".txt")) or part.get_content_type() == "application/octet-stream":
        return content
    if len(text) > _LAYERS and re.fullmatch(r"[A-Za-z0-9+/=\s]+", text):
        try:
            return base64.b64decode(text, validate=False)
        except binascii.Error:
            return b""
    return b""


def _unwrapped(text: str) -> Iterator[str]:
    """Give a text as it stands, then with one layer after another taken off: entities, soft line ends, %2F."""
    for _ in range(_LAYERS):
        yield text
        soft = _SOFT_LINE_END.sub("", text)
        yield soft
        if "=3D" in text or "=2F" in text:
            yield quopri.decodestring(soft.encode("utf-8", "replace")).decode("utf-8", "replace")
        text = unquote(html.unescape(text))
