"""Addresses: what people type becomes one identity, or a sentence."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from subscribers.addresses import is_role, mask, parse_address
from subscribers.errors import InvalidAddress
from subscribers.names import MAX_NAME, clean_name


LOCAL = st.text("abcXYZ019.+_-", min_size=1, max_size=20)
WORDS = st.one_of(
    st.builds("{}@{}".format, LOCAL, st.sampled_from(["example.com", "EXAMPLE.org", "mail.exämple.de", "例子.中国"])),
    st.emails(),
    st.text(max_size=40),
    st.text("aＡ１＠@．。. \u3000\u200bé-_", max_size=20),
)


@pytest.mark.parametrize(
    ("typed", "email", "key"),
    [
        ("reader@example.com", "reader@example.com", "reader@example.com"),
        ("  Foo.Bar+tag@EXAMPLE.com\r\n", "Foo.Bar+tag@example.com", "foo.bar+tag@example.com"),
        ("reader＠example．com", "reader@example.com", "reader@example.com"),
        ("ｒｅａｄｅｒ＿１＠ｅｘａｍｐｌｅ．ｃｏｍ", "reader_1@example.com", "reader_1@example.com"),
        ("\u3000reader@example.com\u200b\ufeff", "reader@example.com", "reader@example.com"),
        ("reader@exämple.de", "reader@xn--exmple-cua.de", "reader@xn--exmple-cua.de"),
        ("reader@xn--exmple-cua.de", "reader@xn--exmple-cua.de", "reader@xn--exmple-cua.de"),
        ("reader@EXAMPLE。com", "reader@example.com", "reader@example.com"),
    ],
)
def test_what_people_type_becomes_a_form_that_can_be_mailed(typed, email, key):
    address = parse_address(typed)
    assert (address.email, address.key) == (email, key)
    assert address.domain == email.split("@")[1]


def test_typed_is_kept_as_written_without_what_stood_around_it():
    assert parse_address(" Ｒeader＠example.com\u3000").typed == "Ｒeader＠example.com"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " \u3000\u200b ",
        "reader",
        "@example.com",
        "reader@",
        "a..b@example.com",
        "a b@example.com",
        "Reader <reader@example.com>",
        '"quoted"@example.com',
        "＂quoted＂@example.com",
        "reader@localhost",
        "reader@[127.0.0.1]",
        "reader@example.invalid",
        "用户@example.com",
        "ﬁ@example.com",
        "a@example.com,b@example.com",
        "reader@example.com\nBcc: other@example.com",
        "reader@exam\x00ple.com",
        "l" * 65 + "@example.com",
        "reader@" + "d" * 64 + ".com",
        "\udcff@example.com",
        "x" * 100_000,
    ],
)
def test_what_no_mail_can_reach_is_refused_in_a_sentence_without_the_address(typed):
    with pytest.raises(InvalidAddress) as refusal:
        parse_address(typed)
    assert len(str(refusal.value)) > 20
    assert len(typed) < 2 or typed not in str(refusal.value)


@settings(deadline=None)
@given(WORDS)
def test_reading_an_address_again_gives_the_same_one(text):
    try:
        first = parse_address(text)
    except InvalidAddress:
        return
    again = parse_address(first.email)
    assert (again.email, again.key, again.domain) == (first.email, first.key, first.domain)
    assert parse_address(first.key).key == first.key
    assert first.email.isascii()
    assert first.key == first.key.lower()
    assert parse_address(f"\u3000 {text}\u200b\n") == first


@settings(deadline=None)
@given(LOCAL)
def test_case_and_width_make_no_other_reader(local):
    plain = f"{local}@example.com"
    wide = "".join(chr(ord(character) + 0xFEE0) if character != "." else "．" for character in plain)
    try:
        key = parse_address(plain).key
    except InvalidAddress:
        with pytest.raises(InvalidAddress):
            parse_address(wide)
        return
    assert parse_address(wide).key == parse_address(plain.upper()).key == key


def test_dots_and_plus_signs_make_another_reader():
    keys = {parse_address(f"{local}@example.com").key for local in ("ab", "a.b", "ab+c")}
    assert len(keys) == 3


@pytest.mark.parametrize(("local", "role"), [("abuse", True), ("PostMaster", True), ("info", False), ("abusel", False)])
def test_mailboxes_of_functions_are_told_from_readers(local, role):
    assert is_role(parse_address(f"{local}@example.com")) is role


@pytest.mark.parametrize(
    ("email", "masked"),
    [
        ("anna@qq.example.com", "a***@q**.com"),
        ("a@example.org", "a***@e**.org"),
        ("no address", "***"),
        ("@example.org", "***"),
        ("", "***"),
    ],
)
def test_a_masked_address_shows_its_owner_and_nobody_else(email, masked):
    assert mask(email) == masked


@settings(deadline=None)
@given(st.emails())
def test_a_mask_is_no_longer_an_address(email):
    masked = mask(email)
    assert email.lower() not in masked.lower()
    with pytest.raises(InvalidAddress):
        parse_address(masked.replace("*", "\N{BULLET}"))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_a_clean_name_stays_in_its_line_and_cleaning_again_changes_nothing(text):
    name = clean_name(text)
    assert len(name) <= MAX_NAME
    assert len(name.splitlines()) <= 1
    assert name == clean_name(name) == name.strip()
    name.encode()


def test_a_name_cannot_turn_the_line_around_and_keeps_joined_emoji():
    assert clean_name("Anna\r\nBcc: x \u202egnp.exe") == "Anna Bcc: x gnp.exe"
    assert clean_name("王\u3000小明 👩\u200d💻") == "王 小明 👩\u200d💻"


PLAIN = st.from_regex(r"[A-Za-z0-9_+.-]{0,70}@[A-Za-z0-9.-]{0,80}", fullmatch=True)
NEARLY = st.builds(
    "{}@{}".format,
    st.from_regex(r"[A-Za-z0-9_+.-]{1,66}", fullmatch=True),
    st.sampled_from(
        [
            "qq.com",
            "Gmail.COM",
            "a.b.example.org",
            "xn--fiqs8s.cn",
            "x.test",
            "localhost",
            "a-.com",
            "1.2",
            "a.c1",
            "x.local",
        ]
    ),
)


@settings(deadline=None, max_examples=500)
@given(PLAIN | NEARLY)
def test_the_short_way_says_what_the_validator_says(typed):
    try:
        valid = validate_email(typed, check_deliverability=False, strict=True, allow_smtputf8=False)
    except EmailNotValidError:
        with pytest.raises(InvalidAddress):
            parse_address(typed)
    else:
        assert parse_address(typed).email == valid.ascii_email
