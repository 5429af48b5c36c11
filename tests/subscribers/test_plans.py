"""Plans: codes, the default, and everything that inclusion lets read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscribers.errors import RefusedPlan, UnknownPlan
from subscribers.models import PlanInclusion
from subscribers.plans import NewPlan, add_plan, list_plans, plan_named, readable_codes, set_inclusions


def test_plans_are_listed_by_position_and_the_first_is_the_default(session):
    assert [(plan.code, plan.includes) for plan in list_plans(session, 1)] == [("free", ()), ("pro", ("free",))]
    assert plan_named(session, 1, None).code == "free"


def test_a_plan_is_found_by_code_and_by_name_whatever_the_case(session):
    assert plan_named(session, 1, "PRO").code == plan_named(session, 1, "专业版").code == "pro"


def test_an_unknown_plan_names_those_there_are(session):
    with pytest.raises(UnknownPlan, match="free, pro"):
        plan_named(session, 1, "gold")


def test_a_publication_without_plans_says_how_to_make_one(session):
    with pytest.raises(UnknownPlan, match="plans add"):
        plan_named(session, 3, None)


@pytest.mark.parametrize("code", ["", "Pro", "a b", "-pro", "专业", "x" * 41, "anonymous", "pro"])
def test_a_code_that_is_unreadable_reserved_or_taken_is_refused(session, code):
    with pytest.raises(RefusedPlan, match="plan"):
        add_plan(session, NewPlan(1, code))
    assert len(list_plans(session, 1)) == 2


def test_the_same_code_may_stand_in_two_publications(session):
    assert add_plan(session, NewPlan(2, "pro")).publication_id == 2
    assert plan_named(session, 1, "pro").id != plan_named(session, 2, "pro").id


def test_a_plan_cannot_include_another_publications_plan(session):
    with pytest.raises(UnknownPlan):
        set_inclusions(session, 1, "pro", ["basic"])


def test_inclusion_reaches_through_other_plans(session):
    add_plan(session, NewPlan(1, "team", includes=("pro",)))
    readable = readable_codes(session, 1)
    assert readable[plan_named(session, 1, "team").id] == {"team", "pro", "free"}
    assert readable[plan_named(session, 1, "free").id] == {"free"}


@pytest.mark.parametrize("includes", [["free"], ["pro"]])
def test_a_plan_cannot_come_to_include_itself(session, includes):
    with pytest.raises(RefusedPlan, match="cannot include"):
        set_inclusions(session, 1, "free", includes)


def test_saying_anew_what_a_plan_includes_replaces_what_was_said(session):
    assert set_inclusions(session, 1, "pro", []).includes == ()
    assert set_inclusions(session, 1, "pro", ["free", "free"]).includes == ("free",)


@settings(max_examples=40, deadline=None)
@given(edges=st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_what_a_plan_may_read_is_closed_whatever_rings_there_are(new_store, edges):
    with new_store() as session:
        ids = [add_plan(session, NewPlan(7, f"p{number}")).id for number in range(5)]
        session.add_all(PlanInclusion(plan_id=ids[start], included_plan_id=ids[end]) for start, end in edges)
        session.flush()
        readable = readable_codes(session, 7)
        for number, plan_id in enumerate(ids):
            assert f"p{number}" in readable[plan_id]
        for start, end in edges:
            assert readable[ids[start]] >= readable[ids[end]]
        assert sum(map(len, readable.values())) <= 5 + sum(len(ids) for _ in edges) * 5
        isolated = {number for number in range(5) if number not in {start for start, _ in edges}}
        assert all(readable[ids[number]] == {f"p{number}"} for number in isolated)
