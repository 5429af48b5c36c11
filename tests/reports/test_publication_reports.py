"""Reports on a publication: what stands beside an issue are issues, and weeks are those of its zone."""

import re
from datetime import UTC, date, datetime

import pytest

from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.models import Correction, Mailing
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, publication_named, set_publication
from newsletter.reports.growth import GROWTH, Growth, Move, Week, growth_of
from newsletter.reports.issue import report_of
from newsletter.reports.publication import MailedIssue, last_issues
from newsletter.reports.publication_page import PublicationPage, render_publication
from newsletter.reports.sheet import Sheet
from newsletter.reports.tallies import Tally
from subscribers.actors import COMMAND_LINE
from subscribers.plan_changes import PlanChange, change_plan
from tests.feedback.said import Feedback
from tests.world import TEMPLATES, make_world


@pytest.fixture
def feedback(store) -> Feedback:
    made = Feedback(make_world(store, MemoryProvider()))
    made.world.readers(["a@qq.com", "b@163.com"])
    return made


def issues(feedback, *, up_to=None, last=8) -> list[MailedIssue]:
    with feedback.world.database.reading() as session:
        publication = publication_named(session, None)
        known = report_of(session, up_to) if up_to else None
        return last_issues(session, publication, issues=last, live=False, up_to=known)


def test_an_old_issue_stands_beside_those_before_it(feedback):
    mailings = []
    for _ in range(3):
        mailings.append(feedback.mail())
        feedback.world.clock.forward(60)
    found = issues(feedback, up_to=mailings[1])
    assert [one.subject for one in found] == ["测试周报：第2期", "测试周报：第1期"]
    assert [one.issue_id for one in issues(feedback, last=2)] == [3, 2]


def test_an_issue_is_all_its_mailings_and_no_correction_and_none_that_was_taken_back(feedback):
    first = feedback.mail()
    feedback.world.clock.forward(60)
    feedback.world.readers(["late@qq.com"])
    cohort = feedback.world.schedule(1)
    assert feedback.world.begin() == [cohort]
    feedback.world.dispatch()
    feedback.world.clock.forward(60)
    last = feedback.mail()
    with feedback.world.database.writing() as session:
        of_last = find_mailing(session, last)
        made = {"note": "n", "made_at": feedback.world.clock(), "made_by": "test"}
        mended = Correction(issue_id=of_last.issue_id, revision_id=of_last.revision_id, **made)
        session.add(mended)
        session.flush()
        like = of_last.model_dump(exclude={"id"}) | {"begun_at": feedback.world.clock()}
        session.add(Mailing(**like | {"correction_id": mended.id}))
        # Its operator took it back in the time to undo: it reached nobody.
        session.add(Mailing(**like | {"state": MailingState.cancelled}))
    found = issues(feedback, up_to=last)
    assert [(one.issue_id, one.total.accepted) for one in found] == [(2, 3), (1, 3)]
    assert found[1].by_provider["qq"].accepted == 2
    assert found[1].begun_at == feedback.world.mailing(first).begun_at
    # What is known already is not counted again, and comes to the same.
    assert issues(feedback) == found


@pytest.mark.parametrize(
    ("zone", "at", "week"),
    [
        ("Asia/Kathmandu", datetime(2026, 11, 22, 18, 14, tzinfo=UTC), date(2026, 11, 16)),
        ("Asia/Kathmandu", datetime(2026, 11, 22, 18, 15, tzinfo=UTC), date(2026, 11, 23)),
        # Clocks were put back in between: its weeks are of 168 hours and one of 169.
        ("Europe/Berlin", datetime(2026, 10, 18, 22, 0, tzinfo=UTC), date(2026, 10, 19)),
        ("Europe/Berlin", datetime(2026, 10, 25, 22, 59, tzinfo=UTC), date(2026, 10, 19)),
        ("Europe/Berlin", datetime(2026, 10, 25, 23, 0, tzinfo=UTC), date(2026, 10, 26)),
    ],
)
def test_a_week_begins_on_monday_where_the_publication_is(store, zone, at, week):
    world = make_world(store, MemoryProvider())
    world.clock.now = at
    world.readers(["a@qq.com"])
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(time_zone=zone))
    with world.database.reading() as session:
        publication = publication_named(session, None)
        found = growth_of(session, publication, weeks=7, now=datetime(2026, 11, 25, tzinfo=UTC))
    assert len(found.weeks) == 7
    assert [one.begins for one in found.weeks if one.counts["imported"]] == [week]


def test_plan_moves_are_told_from_one_plan_to_another(store):
    world = make_world(store, MemoryProvider())
    world.readers(["a@qq.com", "b@qq.com"])
    later = date(2027, 1, 31)
    with world.database.writing() as session:
        # Another last day of the same plan is no move.
        for number, change in ((1, PlanChange("pro")), (2, PlanChange("pro")), (2, PlanChange("pro", later))):
            change_plan(session, number, change, by=COMMAND_LINE, now=world.clock())
        change_plan(session, 2, PlanChange("free"), by=COMMAND_LINE, now=world.clock())
    with world.database.reading() as session:
        found = growth_of(session, publication_named(session, None), weeks=1, now=world.clock())
    assert found.moves == (Move("free", "pro", 2), Move("pro", "free", 1))
    assert found.weeks[0].counts["plan moves"] == 3


@pytest.mark.parametrize(("language", "suppressed"), [("en", "Suppressed: complained"), ("zh", "禁寄：举报过")])
def test_a_publication_has_a_page_with_growth_list_health_and_deliverability(language, suppressed):
    complained = Tally(recipients=1000, accepted=1000, delivered=1000, complained=5)
    # Two issues of one day are two bars.
    begun = datetime(2026, 11, 23, 20, tzinfo=UTC)
    issues = [MailedIssue(number, f"S{number}", begun, complained, {"qq": complained}) for number in (2, 1)]
    weeks = (Week(date(2026, 11, 23), dict.fromkeys(GROWTH, 0) | {"confirmed": 7, "left": 2}),)
    growth = Growth(weeks, (Move("free", "pro", 3),))
    health = {"confirmed": 12_345, "suppressed: complaint": 1}
    page = PublicationPage("W", live=True, now=begun, growth=growth, health=health, issues=issues)
    shown = render_publication(page, Sheet(TEMPLATES, language, "Asia/Shanghai"))
    assert "12,345" in shown
    assert suppressed in shown
    assert re.search(r"free → pro</th><td[^>]*>3<", shown)
    assert [shown.count(f">{label}</text>") for label in ("2026-11-24 0.50%", "qq 0.50%")] == [4, 2]
    assert '<desc class="value">-2' in shown
    assert re.search(r'class="over">10 \(0.50%\)', shown)
    assert "0.1%" in shown
    assert "0.3%" in shown
