# ruff: noqa: E501 - a line of the policy is a line here
"""The policy table of docs/feedback.md, a line of it at a time, in the wordings that servers and SendGrid use."""

from typing import Any

import pytest

from newsletter.feedback.bounce_classes import classify
from newsletter.feedback.outcomes import BounceClass
from newsletter.providers.feedback import FeedbackEvent, FeedbackKind


def bounce(text: str = "", **said: Any) -> FeedbackEvent:
    return FeedbackEvent(FeedbackKind.bounced, "bounce", text=text, **said)


#: The mailbox provider, the bounce, and the class and cause it has.
CASES = [
    # By the enhanced code.
    ("other", bounce(status="5.1.0"), "hard", ""),
    ("other", bounce(status="5.1.1", classification="Invalid Address", bounce_type="bounce"), "hard", ""),
    ("other", bounce(status="5.1.2"), "hard", ""),
    ("other", bounce(status="5.1.3"), "hard", ""),
    ("other", bounce(status="5.1.6"), "hard", ""),
    ("other", bounce("550 5.1.10 RESOLVER.ADR.RecipientNotFound", status="5.1.10", bounce_type="bounce"), "hard", ""),
    ("gmail", bounce("550-5.1.1 The email account that you tried to reach is not here"), "hard", ""),
    ("other", bounce(status="5.2.1", bounce_type="bounce"), "disabled", ""),
    ("gmail", bounce("550 5.2.1 The email account that you tried to reach is disabled."), "disabled", ""),
    ("other", bounce(status="5.2.3"), "too_large", ""),
    ("other", bounce(status="5.3.4", bounce_type="blocked"), "too_large", ""),
    ("other", bounce(status="4.2.1", bounce_type="blocked"), "soft", ""),
    ("other", bounce(status="5.2.2", bounce_type="bounce"), "soft", ""),
    ("other", bounce(status="5.7.1", bounce_type="blocked"), "blocked", "reputation"),
    ("gmail", bounce("550 5.7.26 unauthenticated email", bounce_type="blocked"), "blocked", "authentication"),
    # A code that says nothing hides none that does; and one that is no enhanced code neither.
    ("gmail", bounce("550 5.7.26 unauthenticated email", status="5.0.0", bounce_type="blocked"), "blocked", "authentication"),
    ("other", bounce("550 5.1.1 no such mailbox", status="5.0.0", classification="Unclassified"), "hard", ""),
    ("other", bounce("552 5.2.2 over there", status="552", bounce_type="bounce"), "soft", ""),
    ("other", bounce("550 5.1.1 no such mailbox", status="4.2.2"), "soft", ""),
    ("other", bounce(status="5.0.0", classification="Mailbox Unavailable"), "disabled", ""),
    # What is said for now is soft in whatever words, but for those of providers that we know.
    ("other", bounce("450 4.1.1 Recipient address rejected: User unknown", status="4.1.1", bounce_type="expired"), "soft", ""),
    ("other", bounce("450 4.1.1 Recipient address rejected: User unknown", bounce_type="expired"), "soft", ""),
    ("other", bounce("450 User unknown, try again later", bounce_type="expired"), "soft", ""),
    ("other", bounce("550 User unknown", bounce_type="bounce"), "hard", ""),
    ("other", bounce("550 5.0.0 User unknown", status="5.0.0", bounce_type="bounce"), "hard", ""),
    # SendGrid's class says why we are refused where the code does not.
    ("other", bounce(status="5.7.1", bounce_type="blocked", classification="Content"), "blocked", "content"),
    ("other", bounce(status="5.7.1", bounce_type="blocked", classification="Frequency/Volume"), "blocked", "frequency"),
    ("gmail", bounce(status="5.7.26", bounce_type="blocked", classification="Content"), "blocked", "authentication"),
    ("microsoft", bounce("550 5.7.515 Access denied, sending domain does not meet"), "blocked", "authentication"),
    # By SendGrid's type and classification, in both spellings and any case.
    ("other", bounce("connection timed out", bounce_type="expired"), "soft", ""),
    ("other", bounce(bounce_type="blocked", classification="Reputation"), "blocked", "reputation"),
    ("other", bounce(bounce_type="blocked", classification="content"), "blocked", "content"),
    ("other", bounce(bounce_type="blocked", classification="Frequency/Volume"), "blocked", "frequency"),
    ("other", bounce(bounce_type="blocked", classification="Frequency or Volume Too High"), "blocked", "frequency"),
    ("other", bounce(bounce_type="blocked", classification="Unclassified"), "soft", ""),
    ("other", bounce(bounce_type="bounce", classification="INVALID ADDRESS"), "hard", ""),
    ("other", bounce(bounce_type="bounce", classification="Mailbox Unavailable"), "disabled", ""),
    ("other", bounce(bounce_type="bounce", classification="Technical"), "soft", ""),
    ("other", bounce(bounce_type="bounce", classification="Technical Failure"), "soft", ""),
    ("other", bounce(bounce_type="bounce"), "soft", ""),
    ("other", bounce(), "soft", ""),
    # The servers' own words outrank what SendGrid makes of them.
    ("qq", bounce("550 Mailbox unavailable or access denied", classification="Invalid Address"), "blocked", "frequency"),
    ("qq", bounce("550 Ip frequency limited. http://service.mail.qq.com/…", bounce_type="bounce"), "blocked", "frequency"),
    ("qq", bounce("550 Domain frequency limited.", classification="Invalid Address"), "blocked", "frequency"),
    ("qq", bounce("550 Sender frequency limited"), "blocked", "frequency"),
    ("qq", bounce("550 Connection frequency limited"), "blocked", "frequency"),
    ("qq", bounce("550 Mailbox not found. http://service.mail.qq.com/…"), "hard", ""),
    ("qq", bounce("501 Bad address syntax."), "hard", ""),
    ("qq", bounce("550 Mail content denied. http://service.mail.qq.com/…"), "blocked", "content"),
    ("qq", bounce("550 Mail is rejected by recipients"), "soft", ""),
    ("qq", bounce("550 Suspected spam sender"), "blocked", "reputation"),
    ("qq", bounce("550 DMARC check failed"), "blocked", "authentication"),
    ("netease", bounce("550 Mailbox unavailable or access denied", classification="Invalid Address"), "blocked", "frequency"),
    ("netease", bounce("554 DT:SPM 163 mx12,…", classification="Invalid Address"), "blocked", "content"),
    ("netease", bounce("451 MI:SFQ 163 mx3", bounce_type="blocked"), "blocked", "frequency"),
    ("netease", bounce("421 HL:REP 163 mx7"), "blocked", "reputation"),
    ("netease", bounce("421 HL:ICC 163 mx7"), "blocked", "frequency"),
    ("netease", bounce("550 User not found: …@163.com"), "hard", ""),
    ("netease", bounce("550 User suspended"), "disabled", ""),
    ("microsoft", bounce("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"), "hard", ""),
    ("microsoft", bounce("451 4.7.651 The mail server has been temporarily rate limited due to IP reputation"), "blocked", "reputation"),
    ("yahoo", bounce("554 delivery error: dd This user doesn't have a yahoo.com account"), "hard", ""),
    ("other", bounce("unable to get mx info: failed to get IPs from PTR record", bounce_type="blocked"), "soft", ""),
    ("other", bounce("552 user is over quota", classification="Mailbox Unavailable"), "soft", ""),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "event", "bounce_class", "cause"), CASES)
def test_each_line_of_the_policy(provider, event, bounce_class, cause):
    verdict = classify(event, provider)
    assert (verdict.bounce_class, verdict.cause) == (BounceClass(bounce_class), cause)
    assert verdict.rule


def test_words_of_one_provider_mean_nothing_at_another():
    said = bounce("550 Mailbox unavailable or access denied", classification="Invalid Address")
    assert classify(said, "gmail").bounce_class is BounceClass.hard


def test_the_address_of_a_host_is_no_status_code():
    assert (
        classify(bounce("blocked by 10.5.1.1 550 5.0.0 no", bounce_type="blocked"), "other").bounce_class
        is BounceClass.soft
    )
