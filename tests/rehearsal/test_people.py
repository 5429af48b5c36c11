"""Invented people: at nobody's address, in the lane of the real one, with a name of the same kind."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.mailbox_providers import mailbox_provider
from newsletter.rehearsal.people import address, is_invented, name_like
from subscribers.addresses import parse_address
from subscribers.errors import InvalidAddress


@pytest.mark.parametrize("domain", ["qq.com", "vip.126.com", "139.com", "yahoo.co.jp", "gmail.com", "somebody.example"])
def test_a_stand_in_shares_the_lane_of_the_real_domain(domain):
    invented = address(7, domain)
    assert invented.endswith(".rehearsal.invalid")
    assert mailbox_provider(invented.partition("@")[2]) == mailbox_provider(domain)
    assert is_invented(invented)


def test_nobody_can_subscribe_with_an_invented_address():
    with pytest.raises(InvalidAddress):
        parse_address(address(7, "qq.com"))


@pytest.mark.parametrize(
    "real", ["r1@qq.com", "r1@rehearsal.invalid.example.com", "r1@evil.rehearsal.invalid", "r1@invalid", "", "r1"]
)
def test_what_was_not_invented_here_is_taken_for_real(real):
    assert not is_invented(real)


@given(st.text(max_size=200), st.integers(1, 10**7))
def test_a_name_keeps_its_length_and_its_width(name, number):
    invented = name_like(name, number)
    assert len(invented) == len(name)
    wide = any(unicodedata.east_asian_width(one) in "WF" for one in name)
    assert invented.isascii() != (wide and bool(name))
