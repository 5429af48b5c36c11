"""What is said of a plan stands, what is not said is left alone, and nothing is taken that readers stumble over."""

import pytest

from subscribers.errors import RefusedPlan, UnknownPlan
from subscribers.plan_forms import MAX_DAYS, PlanForm, set_plan
from subscribers.plans import NewPlan, add_plan, list_plans


def codes(session):
    return [plan.code for plan in list_plans(session, 1)]


def test_what_is_said_stands_and_the_rest_is_left_alone(session):
    before = set_plan(
        session, 1, "pro", PlanForm(name="专业版 Pro", upgrade_url="https://pay.example.com", grace_days=3)
    )
    after = set_plan(session, 1, "pro", PlanForm(notice_days=14, fallback="free"))
    assert (before.name, before.includes, before.grace_days) == ("专业版 Pro", ("free",), 3)
    assert (after.name, after.includes, after.grace_days) == ("专业版 Pro", ("free",), 3)
    assert (after.upgrade_url, after.notice_days, after.fallback) == ("https://pay.example.com", 14, "free")
    assert set_plan(session, 1, "pro", PlanForm(upgrade_url="", fallback="")).upgrade_url == ""


def test_inclusions_are_replaced_only_where_they_are_named(session):
    add_plan(session, NewPlan(1, "team"))
    assert set_plan(session, 1, "team", PlanForm(includes=("pro",))).includes == ("pro",)
    assert set_plan(session, 1, "team", PlanForm(includes=())).includes == ()


def test_a_plan_takes_its_place_and_the_others_keep_their_order(session):
    for code in ("team", "patron"):
        add_plan(session, NewPlan(1, code))
    set_plan(session, 1, "patron", PlanForm(position=2))
    assert codes(session) == ["free", "patron", "pro", "team"]
    set_plan(session, 1, "patron", PlanForm(position=4))
    assert codes(session) == ["free", "pro", "team", "patron"]


def test_the_plan_that_everybody_gets_stays_one_that_everybody_may_have(session):
    with pytest.raises(RefusedPlan, match="by invitation"):
        set_plan(session, 1, "pro", PlanForm(position=1))
    with pytest.raises(RefusedPlan, match="is the first"):
        set_plan(session, 1, "free", PlanForm(is_public=False))
    set_plan(session, 1, "pro", PlanForm(is_public=True, position=1))
    assert codes(session) == ["pro", "free"]
    assert set_plan(session, 1, "free", PlanForm(is_public=False)).is_public is False


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (PlanForm(name=" "), "name"),
        (PlanForm(name="Pro\nPlan"), "name"),
        (PlanForm(upgrade_url="pay.example.com"), "web address"),
        (PlanForm(upgrade_url="https://pay.example.com/\nx"), "web address"),
        (PlanForm(fallback="pro"), "itself"),
        (PlanForm(grace_days=-1), "grace days"),
        (PlanForm(notice_days=MAX_DAYS + 1), "notice days"),
        (PlanForm(position=9), "position"),
    ],
)
def test_what_cannot_be_used_is_refused(session, form, words):
    before = list_plans(session, 1)
    with pytest.raises(RefusedPlan, match=words):
        set_plan(session, 1, "pro", form)
    assert list_plans(session, 1) == before


def test_a_fallback_is_a_plan_of_the_same_publication(session):
    with pytest.raises(UnknownPlan):
        set_plan(session, 1, "pro", PlanForm(fallback="basic"))
