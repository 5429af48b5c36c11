"""Reports on issues: they agree with the ledger to the unit, and what they set beside each other belongs together."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from newsletter.delivery.accounts import standing_of
from newsletter.delivery.lifecycle import Difference
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.models import Delivery, Mailing
from newsletter.delivery.reach import ALREADY_REACHED
from newsletter.errors import NotFound
from newsletter.feedback.outcomes import BounceClass
from newsletter.providers.memory import MemoryProvider
from newsletter.reports.growth import GROWTH
from newsletter.reports.issue import IssueReport, arrivals, latest_mailing, report_of
from newsletter.reports.page import Page, render_page
from newsletter.reports.sheet import Sheet
from newsletter.reports.tallies import Tally
from subscribers.audience import ExclusionReason
from subscribers.models import Subscriber, SubscriptionState, SuppressionReason
from tests.feedback.said import Feedback
from tests.world import TEMPLATES, make_world


READERS = ("a@qq.com", "b@qq.com", "c@163.com", "d@163.com", "e@example.com")


@pytest.fixture
def feedback(store) -> Feedback:
    made = Feedback(make_world(store, MemoryProvider()))
    made.world.readers(list(READERS))
    return made


def report(feedback, mailing_id) -> IssueReport:
    with feedback.world.database.reading() as session:
        return report_of(session, mailing_id)


def change(feedback, address, **values):
    """Let a delivery differ from its batch."""
    with feedback.world.database.writing() as session:
        whose = select(Subscriber.id).where(Subscriber.email == address).scalar_subquery()
        session.execute(update(Delivery).where(col(Delivery.subscriber_id) == whose).values(**values))


def test_a_report_agrees_with_the_ledger_also_on_who_differs_from_their_batch(feedback):
    mailing_id = feedback.mail()
    whose, now = feedback.of(mailing_id), feedback.world.clock()
    said = [("a@qq.com", "delivered"), ("b@qq.com", "delivered"), ("c@163.com", "deferred"), ("a@qq.com", "spamreport")]
    feedback.say(*(feedback.event(whose[address], event, now) for address, event in said))
    # What was said of a delivery that never left is no outcome of an accepted mail.
    change(feedback, "b@qq.com", difference=Difference.skipped)
    change(feedback, "d@163.com", difference=Difference.rejected)
    found = report(feedback, mailing_id)
    with feedback.world.database.reading() as session:
        standing = standing_of(session, find_mailing(session, mailing_id))
    assert (found.total.recipients, found.total.accepted) == (standing.recipients, standing.accepted) == (5, 3)
    whole = Tally(recipients=5, accepted=3, delivered=1, deferred=1, deferred_once=1, silent=1, complained=1)
    assert found.total == whole
    assert found.by_provider["qq"] == Tally(recipients=2, accepted=1, delivered=1, complained=1)
    assert found.by_provider["netease"] == Tally(recipients=2, accepted=1, deferred=1, deferred_once=1)
    assert found.balances


def test_before_anybody_is_mailed_every_number_is_there_and_none(feedback):
    mailing_id = feedback.world.schedule(feedback.world.issue())
    found = report(feedback, mailing_id)
    assert (found.total, found.left, found.top_links, found.balances) == (Tally(), 0, (), True)
    with feedback.world.database.reading() as session, pytest.raises(NotFound):
        latest_mailing(session, found.issue_id, live=False)


def test_who_left_is_counted_until_the_next_issue_not_until_a_later_cohort(feedback):
    mailing_id = feedback.mail()
    whose = feedback.of(mailing_id)
    feedback.world.clock.forward(60)
    # The same issue, to whom does not have it; and a rehearsal of the other side.
    with feedback.world.database.writing() as session:
        first = find_mailing(session, mailing_id).model_dump(exclude={"id"})
        now = feedback.world.clock()
        session.add(Mailing(**first | {"begun_at": now}))
    feedback.world.clock.forward(60)
    feedback.say(feedback.event(whose["a@qq.com"], "unsubscribe", feedback.world.clock()))
    assert report(feedback, mailing_id).left == 1
    # Who left while the mails went out, and got none, did not leave because of it.
    change(feedback, "a@qq.com", difference=Difference.skipped, may_have_reached=False)
    assert report(feedback, mailing_id).left == 0


def test_the_report_of_an_issue_is_of_this_side_of_not_live_where_it_was_mailed_there(feedback):
    mailing_id = feedback.mail()
    with feedback.world.database.writing() as session:
        first = find_mailing(session, mailing_id).model_dump(exclude={"id"})
        real = Mailing(**first | {"live": True, "begun_at": feedback.world.clock() - timedelta(days=1)})
        session.add(real)
        session.flush()
        assert latest_mailing(session, first["issue_id"], live=False) == mailing_id
        assert latest_mailing(session, first["issue_id"], live=True) == real.id


def test_arrivals_are_counted_by_the_hour(feedback):
    mailing_id = feedback.mail()
    whose, now = feedback.of(mailing_id), feedback.world.clock()
    for address, hours in (("a@qq.com", 0), ("b@qq.com", 0), ("c@163.com", 25)):
        feedback.say(feedback.event(whose[address], "delivered", now + timedelta(hours=hours)))
    with feedback.world.database.reading() as session:
        counted = arrivals(session, mailing_id)
    assert counted == {f"{now:%Y-%m-%d %H}": 2, f"{now + timedelta(hours=25):%Y-%m-%d %H}": 1}


BEGUN = datetime(2026, 11, 23, 9, tzinfo=UTC)
NOTHING = IssueReport(
    1,
    1,
    BEGUN,
    live=False,
    candidates=0,
    exclusions={},
    total=Tally(),
    by_plan={},
    by_provider={},
    left=0,
    top_links=(),
)


def page(report=NOTHING, *, arrivals=None, language="en", zone="UTC") -> str:
    return render_page(Page("W", "S", BEGUN, report, arrivals or {}, []), Sheet(TEMPLATES, language, zone))


def drawn_on_desks(shown: str) -> str:
    """Give what a page draws for desks: each chart is there a second time, for phones."""
    return "".join(re.findall(r'<div class="wide">(.*?)</div>', shown, re.DOTALL))


def test_the_chart_of_arrivals_loses_no_mail_of_another_day():
    """The same hour of two days is two columns; what came after a day is one."""
    shown = page(arrivals={"2026-11-23 09": 500, "2026-11-23 11": 20, "2026-11-24 09": 7, "2026-11-26 09": 3})
    values = [int(one) for one in re.findall(r'<desc class="value">(\d+)', drawn_on_desks(shown))]
    # It ends at the last hour of the first day that has mail.
    assert values == [500, 0, 20, 10]
    assert "Later" in shown


def test_a_page_tells_the_time_of_the_publication():
    shown = page(arrivals={"2026-11-23 09": 500}, zone="Asia/Shanghai")
    assert "begun 2026-11-23 17:00; counted 2026-11-23 17:00 (Asia/Shanghai time)" in shown
    assert ">17:00</text>" in shown
    assert "09:00" not in shown


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_of_a_report_has_a_word_in_both_languages(language):
    sheet = Sheet(TEMPLATES, language, "UTC")
    assert set(sheet.words["exclusion"]) == {*ExclusionReason, ALREADY_REACHED, "plan", "not_on_allow_list"}
    assert set(sheet.words["bounce"]) == set(BounceClass)
    reasons = {f"suppressed: {reason}" for reason in SuppressionReason}
    assert set(sheet.words["health"]) == {*SubscriptionState, "paused", *reasons}
    assert set(sheet.words["growth"]) == set(GROWTH)


def test_a_page_accounts_for_who_was_deferred_bounced_and_left_out_in_words():
    total = Tally(recipients=9, accepted=9, delivered=6, bounces={"hard": 2, "too_large": 1}, deferred_once=4)
    report = replace(NOTHING, candidates=11, exclusions={"unsubscribed": 2}, total=total)
    shown = page(report, language="zh")
    assert re.search(r"曾被推迟</dt><dd>4<", shown)
    assert re.search(r"地址不存在</th><td[^>]*>2</td><td[^>]*>22.22%<", shown)
    assert re.search(r"邮件太大</th><td[^>]*>1<", shown)
    assert re.search(r"已退订</th><td[^>]*>2<", shown)
    assert "unsubscribed" not in shown


def test_the_lines_for_complaints_are_drawn_and_said():
    over = Tally(recipients=1000, accepted=1000, delivered=1000, complained=2)
    shown = page(replace(NOTHING, total=over, by_provider={"qq": over}))
    assert "under 0.1%; from 0.3% on mails are refused" in shown
    chart = drawn_on_desks(shown)
    assert all(re.search(rf'class="major"[^>]*>{line} %</text>', chart) for line in ("0.1", "0.3"))
    assert "qq 0.20%" in chart
    assert '<td role="cell" data-of="Complained" class="over">2 (0.20%)</td>' in shown


def test_a_page_about_nothing_divides_nothing():
    shown = page()
    assert "nan" not in shown.lower()
    assert "%" not in re.sub(r"<style>.*?</style>", "", shown, flags=re.DOTALL)
