"""Encodings: what people's programs save is read as it was written, and nothing is guessed into other words."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.csv_rows import examine, read_rows
from subscribers.encodings import BLOCK, detect_encoding
from subscribers.errors import UnreadableFile


NAMES = ["王小明", "陶喆", "朱镕基", "李思远", "欧阳娜娜", "张伟", "刘洋", "赵敏"]
TEXT = "邮箱,姓名,方案\r\n" + "".join(f"r{number}@qq.com,{name},免费\r\n" for number, name in enumerate(NAMES))


@pytest.mark.parametrize(
    ("encoding", "detected"),
    [
        ("utf-8", "utf-8-sig"),
        ("utf-8-sig", "utf-8-sig"),
        ("gbk", "gb18030"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
    ],
)
def test_a_list_from_chinese_excel_is_read_whatever_it_saved_it_as(encoding, detected):
    stream = BytesIO(TEXT.encode(encoding))
    assert examine(stream).encoding == detected
    assert [row.name for row in read_rows(stream)] == NAMES


def test_unicode_text_of_excel_has_tabs():
    (row,) = read_rows(BytesIO("Email\tName\r\na@example.com\t王小明\r\n".encode("utf-16")))
    assert (row.email, row.name) == ("a@example.com", "王小明")


def test_a_character_cut_by_the_end_of_a_block_is_whole():
    text = "email,姓名\n" + "a@qq.com,王\n" * (BLOCK // 8)
    assert detect_encoding(BytesIO(text.encode("gb18030"))) == "gb18030"
    assert detect_encoding(BytesIO(text.encode())) == "utf-8-sig"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("email,name\na@gmx.de,Jürgen Müller\nb@gmx.de,Bäcker\nc@gmx.de,Größe\n", "latin-1"),
        ("email,name\na@gmx.de,Jérôme Lefèvre\nb@gmx.de,Noël\n", "cp1252"),
        ("email,姓名\na@example.com,陳小明\nb@example.com,張偉\nc@example.com,劉德華\n", "big5"),
        ("email,氏名\na@example.jp,山田太郎\nb@example.jp,さくら\nc@example.jp,ひろし\n", "shift-jis"),
        ("email,имя\na@example.com,Иван Петров\nb@example.com,Ольга\n", "cp1251"),
        ("email,имя\na@example.com,иван петров\nb@example.com,ольга иванова\n", "cp1251"),
        ("email,이름\na@example.kr,김민준\nb@example.kr,이서연\nc@example.kr,박지훈\nd@example.kr,최수아\n", "euc-kr"),
        ("email,氏名\na@example.jp,山田太郎\nb@example.jp,さくら\nc@example.jp,ひろし\n", "euc-jp"),
    ],
)
def test_text_of_other_encodings_is_refused_and_not_turned_into_other_words(text, encoding):
    with pytest.raises(UnreadableFile, match="UTF-8"):
        detect_encoding(BytesIO(text.encode(encoding)))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200))
def test_any_text_in_utf_8_or_marked_utf_16_is_known_for_what_it_is(text):
    assert detect_encoding(BytesIO(text.encode())) == "utf-8-sig"
    assert detect_encoding(BytesIO(text.encode("utf-16"))) == "utf-16"


@given(st.binary(max_size=200))
def test_what_is_detected_can_be_decoded(data):
    try:
        encoding = detect_encoding(BytesIO(data))
    except UnreadableFile:
        return
    data.decode(encoding)
