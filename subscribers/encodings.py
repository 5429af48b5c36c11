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
#: How much of the Chinese text must be of the everyday characters, in percent: those of GB 2312's first level, which
#: stand in the order of their sound. Real text has nearly all; Big5, Shift-JIS, Cyrillic and Latin text that happens to
#: be decodable as GB18030 has far less.
_EVERYDAY = 75
_FIRST_LEVEL = (b"\xb0", b"\xd7")
#: Sounds from about S on, which every Chinese text has (shi, wang, zhang); Korean (EUC-KR) reads as the others alone.
_LATE = b"\xc9"
#: Punctuation and full-width forms, which say nothing of the language.
_MARKS = frozenset({b"\xa1", b"\xa2", b"\xa3"})
#: Japanese (EUC-JP) has its kana where GB 2312 has them.
_KANA = frozenset({b"\xa4", b"\xa5"})
#: Percent of the text; asked for, or allowed.
_SOME = 5
#: Fewer characters than this prove nothing by what is not among them.
_ENOUGH = 12


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
    """Tell whether the text beyond ASCII is Chinese as people write it, by where its characters stand in GB 2312."""
    decoder = codecs.getincrementaldecoder("gb18030")()
    beyond = first_level = late = kana = marks = 0
    for block in _blocks(stream):
        for character in decoder.decode(block):
            if character < "\x80":
                continue
            beyond += 1
            row = character.encode("gb2312", "ignore")[:1]
            first_level += _FIRST_LEVEL[0] <= row <= _FIRST_LEVEL[1]
            late += _LATE <= row <= _FIRST_LEVEL[1]
            kana += row in _KANA
            marks += row in _MARKS
    hanzi = beyond - marks
    if first_level * 100 < hanzi * _EVERYDAY or kana * 100 > beyond * _SOME:
        return False
    return hanzi < _ENOUGH or late * 100 >= hanzi * _SOME


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    stream.seek(0)
    while block := stream.read(BLOCK):
        yield block
