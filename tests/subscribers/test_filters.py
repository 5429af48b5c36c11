"""Filters: written once, read the same for ever; SQL finds whom a plain reading of the words finds."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlmodel import col

from newsletter.providers.memory import MemoryProvider
from subscribers.actors import COMMAND_LINE
from subscribers.addresses import parse_address
from subscribers.attributes import add_attribute, list_attributes, set_values, tag, tags_of, values_of
from subscribers.errors import RefusedFilter
from subscribers.filters import EVERYBODY, Comparison, Condition, Filter, clean_tag, parse_filter, said_filter
from subscribers.hashing import AddressHasher
from subscribers.matching import Home, matches, this_one
from subscribers.models import AttributeKind, Subscriber, SubscriptionState
from subscribers.roster import count_matching, list_subscriptions
from subscribers.subscriptions import NewSubscription, subscribe
from tests.world import addresses, make_world


ZONE = ZoneInfo("Asia/Shanghai")
HOME = Home(1, ZONE, "zh-CN")
KINDS = {
    "city": AttributeKind.text,
    "age": AttributeKind.number,
    "since": AttributeKind.date,
    "student": AttributeKind.yes_no,
}
DOMAINS = ["qq.com", "foxmail.com", parse_address("x@例子.cn").domain]
CITIES = ["上海", "New York", "a,b", "it's", 'say "hi"', "back\\slash", "=<>"]
DAYS = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 6, 1)]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("plan=pro", "plan=pro"),
        (" PLAN=team,pro,pro ", "plan=pro,team"),
        (["tag=VIP", "state=confirmed"], "state=confirmed tag=vip"),
        ("domain=QQ.com", "domain=qq.com"),
        ("domain=例子.cn", f"domain={DOMAINS[2]}"),
        ("tag=ｖｉｐ", "tag=vip"),
        ("attr.city='New York'", "'attr.city=New York'"),
        ("", ""),
    ],
)
def test_a_filter_has_one_spelling(written, stored):
    assert str(parse_filter(written)) == stored
    assert parse_filter(stored) == parse_filter(written)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("pro", "is no condition"),
        ("plan=", "lacks a value"),
        ("plan=pro,", "lacks a value"),
        ("plan=,pro", "lacks a value"),
        ("plan>pro", "= and != only"),
        ("state=gone", "confirmed"),
        ("joined>=1.2.2026", "joined>=2026-01-01"),
        ("joined>=2026-01-01,2026-01-02", "one value"),
        ("mood=good", "there is no field"),
        ("attr.=x", "names no attribute"),
        ("domain=qq", "no domain"),
        ("tag=a'b", "quote is opened"),
        ("attr.city='New York", "quote is opened"),
    ],
)
def test_what_cannot_be_read_is_told_with_an_example(written, words):
    with pytest.raises(RefusedFilter, match=words):
        parse_filter(written)


@pytest.mark.parametrize(
    "written", ["plan=gold", "attr.shoe=42", "attr.age=old", "attr.city>=上海", "attr.student=maybe"]
)
def test_what_the_publication_does_not_have_is_refused_where_it_is_used(session, written):
    for code, kind in KINDS.items():
        add_attribute(session, 1, code, kind)
    with pytest.raises(RefusedFilter, match=written.split("=")[0].rstrip(">")):
        matches(session, parse_filter(written), HOME)


@dataclass
class Person:
    """Somebody with everything that filters ask about."""

    plan: str
    state: SubscriptionState
    domain: str
    locale: str
    joined: datetime
    tags: set[str] = field(default_factory=set)
    kept: dict[str, str] = field(default_factory=dict)

    def has(self, one: Condition) -> bool:
        """Tell whether a condition holds, by a plain reading of it."""
        if one.comparison is Comparison.is_not:
            return not self.has(Condition(one.field, Comparison.equals, one.values))
        if one.field == "tag":
            return bool(self.tags & set(one.values))
        if one.field == "joined":
            day = self.joined.astimezone(ZONE).date().isoformat()
            return any(compared(day, one.comparison, value) for value in one.values)
        if one.attribute:
            if (value := self.kept.get(one.attribute)) is None:
                return False
            read = float if KINDS[one.attribute] is AttributeKind.number else str
            return any(compared(read(value), one.comparison, read(wanted)) for wanted in one.values)
        mine = {"plan": self.plan, "state": str(self.state), "domain": self.domain}.get(one.field)
        return (mine or (self.locale or HOME.locale).lower()) in one.values


def compared(mine, comparison, other):
    return {
        Comparison.equals: mine == other,
        Comparison.at_least: mine >= other,
        Comparison.at_most: mine <= other,
        Comparison.below: mine < other,
        Comparison.above: mine > other,
    }[comparison]


#: Around the midnights of the publication's zone.
MOMENTS = [datetime.combine(day, datetime.min.time(), ZONE).astimezone(UTC) for day in DAYS]
MOMENTS += [moment + step for moment in MOMENTS for step in (timedelta(seconds=-1), timedelta(hours=9))]
VALUES = {
    "city": st.sampled_from(CITIES),
    "age": st.sampled_from(["7", "30", "30.5", "-1"]),
    "since": st.sampled_from([str(day) for day in DAYS]),
    "student": st.sampled_from(["yes", "no"]),
}
PEOPLE = st.builds(
    Person,
    plan=st.sampled_from(["free", "pro"]),
    state=st.sampled_from([SubscriptionState.confirmed, SubscriptionState.pending]),
    domain=st.sampled_from(DOMAINS),
    locale=st.sampled_from(["", "zh-CN", "en"]),
    joined=st.sampled_from(MOMENTS),
    tags=st.sets(st.sampled_from(["vip", "梅花", "old"])),
    kept=st.fixed_dictionaries({}, optional=VALUES),
)
ORDERED = [one for one in Comparison if one not in {Comparison.equals, Comparison.is_not}]


@st.composite
def conditions(draw):
    values = {
        "plan": st.sampled_from(["free", "pro"]),
        "state": st.sampled_from(["confirmed", "pending", "left"]),
        "domain": st.sampled_from(DOMAINS),
        "locale": st.sampled_from(["zh-cn", "en"]),
        "joined": VALUES["since"],
        "tag": st.sampled_from(["vip", "梅花", "none"]),
        **{f"attr.{code}": those for code, those in VALUES.items()},
    }
    name = draw(st.sampled_from(sorted(values)))
    if name in {"joined", "attr.age", "attr.since"} and draw(st.booleans()):
        return Condition(name, draw(st.sampled_from(ORDERED)), (draw(values[name]),))
    several = draw(st.sets(values[name], min_size=1, max_size=2))
    return Condition(name, draw(st.sampled_from([Comparison.equals, Comparison.is_not])), tuple(sorted(several)))


FILTERS = st.lists(conditions(), max_size=3).map(lambda those: Filter(tuple(sorted(set(those), key=str))))


@settings(max_examples=200, deadline=None)
@given(FILTERS)
def test_a_filter_as_text_is_read_back_as_the_same(wanted):
    read = parse_filter(str(wanted))
    assert str(read) == str(wanted)
    assert str(parse_filter(str(read))) == str(read)


def enter(session, number: int, person: Person) -> int:
    """Store somebody, as the commands do, and give the subscription's id."""
    pending = person.state is SubscriptionState.pending
    request = NewSubscription(1, f"p{number}@{person.domain}", person.plan, confirmed=not pending)
    hasher = AddressHasher(b"sixteen bytes or more")
    view, _ = subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=person.joined)
    session.execute(update(Subscriber).where(col(Subscriber.id) == view.subscriber_id).values(locale=person.locale))
    tag(session, 1, this_one(view.id), add=person.tags, remove=())
    set_values(session, 1, view.id, person.kept)
    return view.id


@pytest.fixture
def world(store):
    world = make_world(store, MemoryProvider())
    with store.writing() as session:
        for code, kind in KINDS.items():
            add_attribute(session, 1, code, kind)
    return world


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=st.lists(PEOPLE, min_size=1, max_size=5), several=st.lists(FILTERS, min_size=5, max_size=5))
def test_the_database_finds_whom_the_words_name(world, people, several):
    with world.database.writing() as session:
        ids = {enter(session, number, person): person for number, person in enumerate(people)}
        for wanted in several:
            condition = matches(session, wanted, HOME)
            found = [view.id for view in list_subscriptions(session, 1, where=condition)]
            assert found == [one for one, person in ids.items() if all(map(person.has, wanted.conditions))], wanted
            assert count_matching(session, 1, condition) == len(found)
        # Each example begins with an empty publication.
        session.rollback()


def test_what_is_kept_of_a_reader_can_be_changed_and_forgotten(world):
    person = Person(
        "pro", SubscriptionState.confirmed, "qq.com", "", MOMENTS[0], {"vip"}, {"age": "30", "city": "上海"}
    )
    with world.database.writing() as session:
        one = enter(session, 1, person)
        set_values(session, 1, one, {"age": "31", "city": "", "student": "是"})
        assert values_of(session, one) == {"age": "31", "student": "yes"}
        assert tag(session, 1, this_one(one), add=["VIP", "new"], remove=["old"]) == (1, 0)
        assert tag(session, 1, this_one(one), add=[], remove=["vip"]) == (0, 1)
        assert tags_of(session, one) == ["new"]
        assert [(view.code, view.readers) for view in list_attributes(session, 1)] == [
            ("age", 1),
            ("city", 0),
            ("since", 0),
            ("student", 1),
        ]


@pytest.mark.parametrize(
    "value", [{"age": "thirty"}, {"age": "nan"}, {"since": "yesterday"}, {"shoe": "42"}, {"city": "x" * 201}]
)
def test_a_value_that_is_none_of_its_kind_is_refused(world, value):
    person = Person("pro", SubscriptionState.confirmed, "qq.com", "", MOMENTS[0])
    with world.database.writing() as session, pytest.raises(RefusedFilter, match=next(iter(value))):
        set_values(session, 1, enter(session, 1, person), value)


@pytest.mark.parametrize("word", ["", "two words", "a,b", "x" * 61, "it's"])
def test_a_tag_is_one_word(word):
    with pytest.raises(RefusedFilter):
        clean_tag(word)


@pytest.mark.parametrize("code", ["City", "a b", "", "x" * 41, "city"])
def test_an_attribute_has_a_code_of_its_own(world, code):
    with world.database.writing() as session, pytest.raises(RefusedFilter, match="attribute"):
        add_attribute(session, 1, code, AttributeKind.text)


def test_nobody_is_left_out_of_a_filter_without_conditions(world):
    world.readers(addresses(3))
    with world.database.reading() as session:
        assert count_matching(session, 1, matches(session, EVERYBODY, HOME)) == 3


@pytest.mark.parametrize("said", [[""], ["  "], ["plan=pro", ""]])
def test_an_empty_filter_that_somebody_said_is_not_everybody(said):
    with pytest.raises(RefusedFilter, match="leave it out"):
        said_filter(said)
    assert said_filter([]) == EVERYBODY


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1899-12-31"])
def test_days_that_no_calendar_of_ours_reaches_are_refused(day):
    with pytest.raises(RefusedFilter):
        parse_filter(f"joined>={day}")
