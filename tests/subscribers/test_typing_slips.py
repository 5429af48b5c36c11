"""Typing slips: what is plainly a slip gets a suggestion, what may be somebody's own domain gets none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.disposable import is_disposable
from subscribers.typing_slips import MEANT, OTHERS, meant_domain, suggestion_for


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("gmial.com", "gmail.com"), ("gmai.com", "gmail.com"), ("gmail.con", "gmail.com"), ("gmail.co", "gmail.com")),
        *(("qq.con", "qq.com"), ("qqq.com", "qq.com"), ("qq.cm", "qq.com"), ("qqcom", "qq.com")),
        *(("163.cmo", "163.com"), ("1163.com", "163.com"), ("126.con", "126.com"), ("foxmial.com", "foxmail.com")),
        *(("outlok.com", "outlook.com"), ("hotmal.com", "hotmail.com"), ("iclould.com", "icloud.com")),
        *(("yaho.com", "yahoo.com"), ("yahoo.co", "yahoo.com"), ("GMIAL.com", "gmail.com")),
    ],
)
def test_slips_that_people_make_are_suggested(typed, meant):
    assert suggestion_for(f"Wang.Wei@{typed}") == f"Wang.Wei@{meant}"


@pytest.mark.parametrize("domain", sorted(MEANT | OTHERS))
def test_a_domain_that_gives_mailboxes_is_never_taken_for_a_slip(domain):
    assert suggestion_for(f"a@{domain}") == ""


@pytest.mark.parametrize(
    "domain", ["ge.com", "mi.com", "line.com", "life.com", "example.com", "qq.com.cn", "news.example.org", "sina.con"]
)
def test_what_may_be_somebody_elses_gets_no_suggestion(domain):
    assert suggestion_for(f"a@{domain}") == ""


@pytest.mark.parametrize("text", ["", "@", "a@", "@gmial.com", "no address at all"])
def test_what_is_no_address_gets_no_suggestion(text):
    assert suggestion_for(text) == ""


@given(st.from_regex(r"[a-z0-9]{1,9}(\.[a-z]{2,3}){0,2}", fullmatch=True))
def test_a_suggestion_is_one_of_ours_and_is_not_suggested_away(domain):
    meant = meant_domain(domain)
    assert meant in MEANT | {""}
    assert meant_domain(meant) == ""


def test_disposable_domains_are_known_with_what_is_under_them():
    assert is_disposable("mailinator.com")
    assert is_disposable("Box.Mailinator.com")
    assert not any(is_disposable(domain) for domain in MEANT | OTHERS | {"example.com", "duck.com", "com"})
