"""Links that work for a time: what is believed, for how long, and that nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.signing import LIFETIMES, ExpiredToken, ForgedToken, LinkSigner, Purpose


NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
OLD, NEW = b"an older key of the tests", b"a newer key of the tests"
SIGNER = LinkSigner((OLD, NEW))
TOKEN = SIGNER.sign(Purpose.confirm, 12, 345, at=NOW)


def test_a_token_gives_back_its_ids():
    assert SIGNER.ids(Purpose.confirm, TOKEN, now=NOW) == (12, 345)
    assert SIGNER.sign(Purpose.confirm, 12, 345, at=NOW) == TOKEN


@given(st.integers(0, len(TOKEN) * 8 - 1))
def test_no_bit_of_a_token_can_be_flipped(bit):
    flipped = bytearray(TOKEN, "ascii")
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ForgedToken):
        SIGNER.ids(Purpose.confirm, flipped.decode("latin-1"), now=NOW)


@given(st.text(max_size=100))
def test_any_text_is_refused_in_order(text):
    with pytest.raises(ForgedToken):
        SIGNER.ids(Purpose.confirm, text, now=NOW)


@pytest.mark.parametrize("purpose", [one for one in Purpose if one is not Purpose.confirm])
def test_a_token_for_something_else_is_none(purpose):
    with pytest.raises(ForgedToken):
        SIGNER.ids(purpose, TOKEN, now=NOW)


def test_tokens_outlive_new_keys_and_end_with_their_own():
    assert LinkSigner((NEW, b"the key after that one")).ids(Purpose.confirm, TOKEN, now=NOW) == (12, 345)
    with pytest.raises(ForgedToken):
        LinkSigner((OLD,)).ids(Purpose.confirm, TOKEN, now=NOW)


def test_a_token_ends_with_its_lifetime():
    last = NOW + LIFETIMES[Purpose.confirm]
    assert SIGNER.ids(Purpose.confirm, TOKEN, now=last)
    with pytest.raises(ExpiredToken) as expired:
        SIGNER.ids(Purpose.confirm, TOKEN, now=last + timedelta(seconds=1))
    # For a page that offers a fresh link.
    assert expired.value.ids == (12, 345)


def test_a_token_from_the_future_is_not_believed():
    assert SIGNER.ids(Purpose.confirm, TOKEN, now=NOW - timedelta(minutes=1))
    with pytest.raises(ExpiredToken):
        SIGNER.ids(Purpose.confirm, TOKEN, now=NOW - timedelta(hours=1))


@pytest.mark.parametrize("keys", [(), (b"short",), (OLD, b"short")])
def test_short_keys_are_refused(keys):
    with pytest.raises(ValueError, match="16 bytes"):
        LinkSigner(keys)
