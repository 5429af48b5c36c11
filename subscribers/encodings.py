"""Encodings: which way of writing text as bytes a file was saved in. Pure; the first step of ``csv_rows``.

Only what can be told for sure is read: UTF-8 with or without a mark, UTF-16 with its mark (Excel's “Unicode text”), and
GB18030, as Chinese Excel saves CSV. Anything else would turn people's names into other words.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from subscribers.errors import UnreadableFile


BLOCK = 1 << 20
#: How much of the Chinese text must be of the everyday characters, in percent. Real text has nearly all; Big5,
#: Shift-JIS and Latin text that happens to be decodable as GB18030 has far less.
_EVERYDAY = 75


def detect_encoding(stream: IO[bytes]) -> str:
    """Look at every byte of a file and name the codec that reads it: utf-8-sig, utf-16 or gb18030.

    Raises:
        UnreadableFile: The file is binary, broken in the middle, or in another encoding.
    """
    stream.seek(0)
    if stream.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        if fault := _first_fault(stream, "utf-16"):
            raise UnreadableFile("the text is broken UTF-16: save the file as “CSV UTF-8” and import that", fault.line)
        return "utf-16"
    if any(b"\0" in block for block in _blocks(stream)):
        raise UnreadableFile("the file is binary or UTF-16 without its mark, not CSV: save it as “CSV UTF-8”")
    if (fault := _first_fault(stream, "utf-8")) is None:
        return "utf-8-sig"
    if fault.is_cut_off:
        raise UnreadableFile("the file ends in the middle of a character: fetch it again", fault.line)
    if _first_fault(stream, "gb18030") is None and _is_everyday_chinese(stream):
        return "gb18030"
    raise UnreadableFile(
        "the text is not UTF-8, and not plainly GB18030: save the file as “CSV UTF-8” and import that", fault.line
    )


@dataclass(frozen=True)
class _Fault:
    """Where a codec fails, and whether only because the file ends."""

    line: int
    is_cut_off: bool


def _first_fault(stream: IO[bytes], encoding: str) -> _Fault | None:
    """Give where a codec fails first, or nothing where it reads the whole."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    try:
        for block in _blocks(stream):
            line += decoder.decode(block).count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].count(b"\n")
        return _Fault(line, is_cut_off=error.reason == "unexpected end of data")
    return None


def _is_everyday_chinese(stream: IO[bytes]) -> bool:
    """Tell whether most of the text beyond ASCII is of GB 2312, which holds what people write every day."""
    decoder = codecs.getincrementaldecoder("gb18030")()
    beyond = everyday = 0
    for block in _blocks(stream):
        text = decoder.decode(block)
        plain = len(text.encode("ascii", "ignore"))
        beyond += len(text) - plain
        everyday += (len(text.encode("gb2312", "ignore")) - plain) // 2
    return everyday * 100 >= beyond * _EVERYDAY


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    stream.seek(0)
    while block := stream.read(BLOCK):
        yield block
