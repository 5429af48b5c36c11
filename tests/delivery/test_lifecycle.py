"""The tables of states are whole, and what they say is what DESIGN §5 says."""

from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.batching import Unbatched, halves, partition
from newsletter.delivery.lifecycle import (
    AT_WORK,
    BATCH_COMES_FROM,
    CONSEQUENCES,
    FIRST_WAIT_SECONDS,
    LONGEST_ASKED_SECONDS,
    LONGEST_WAIT_SECONDS,
    MAILING_COMES_FROM,
    BatchState,
    Difference,
    MailingState,
    conclusion,
    consequence_of,
    wait_seconds,
)
from newsletter.delivery.progress import standing
from newsletter.providers.base import Ending


def test_every_ending_has_a_consequence_that_the_lifecycle_allows():
    assert set(CONSEQUENCES) == set(Ending)
    assert all(BatchState.submitting in BATCH_COMES_FROM[one.state] for one in CONSEQUENCES.values())


def test_every_state_can_be_come_into():
    assert set(BATCH_COMES_FROM) == set(BatchState)
    assert set(MAILING_COMES_FROM) == set(MailingState) - {MailingState.draft}


def test_only_an_answer_a_proof_or_a_decision_ends_unknown():
    """An answer that comes late means what it would have meant; the rest are decisions (``settlement``)."""
    leads_to = {to for to, sources in BATCH_COMES_FROM.items() if BatchState.unknown in sources}
    answers = {one.state for one in CONSEQUENCES.values()} - {BatchState.unknown}
    assert leads_to == answers | {BatchState.given_up}


def test_accepted_is_final():
    assert not any(BatchState.accepted in sources for sources in BATCH_COMES_FROM.values())


def test_one_recipient_alone_is_not_divided():
    assert consequence_of(Ending.too_large, size=1).state is BatchState.rejected
    assert consequence_of(Ending.too_large, size=2).state is BatchState.split


@given(tries=st.integers(1, 10_000), asked=st.none() | st.floats(0, 1e9))
def test_a_wait_is_within_its_bounds_whatever_was_asked(tries, asked):
    """Never none at all: a clock that is ahead of the provider's would call it in a loop."""
    assert FIRST_WAIT_SECONDS <= wait_seconds(tries, asked) <= LONGEST_ASKED_SECONDS


def test_a_wait_doubles_until_the_ceiling():
    waits = [wait_seconds(tries, None) for tries in range(1, 12)]
    assert waits == sorted(waits)
    assert waits[1] == 2 * waits[0]
    assert waits[-1] == LONGEST_WAIT_SECONDS


@given(st.dictionaries(st.sampled_from(BatchState), st.integers(0, 5)))
def test_a_mailing_concludes_only_when_no_work_is_left(batches):
    end = conclusion(batches)
    assert (end is None) == any(batches.get(state, 0) for state in AT_WORK)
    if end is MailingState.finished:
        assert not batches.get(BatchState.unknown)


@given(
    st.dictionaries(
        st.tuples(st.none() | st.sampled_from(BatchState), st.none() | st.sampled_from(Difference)), st.integers(0, 50)
    )
)
def test_every_delivery_stands_in_exactly_one_class(deliveries):
    """The identity holds for any rows whatever."""
    total = sum(deliveries.values())
    found = standing(total, deliveries)
    assert found.balances
    assert found.accounted == total
    assert not standing(total + 1, deliveries).balances


unbatched = st.lists(
    st.builds(
        Unbatched, st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(["qq.com", "foxmail.com", "a.example"])
    ),
    unique_by=lambda one: one.delivery_id,
    max_size=60,
)


@given(unbatched, st.integers(1, 20))
def test_the_last_page_is_batched_whole_and_within_bounds(page, size):
    planned = partition(page, size, last_page=True)
    assert sorted(one for batch in planned for one in batch.delivery_ids) == sorted(one.delivery_id for one in page)
    assert all(0 < len(batch.delivery_ids) <= size for batch in planned)
    plan_of = {one.delivery_id: one.plan_id for one in page}
    assert all(plan_of[one] == batch.plan_id for batch in planned for one in batch.delivery_ids)


@given(unbatched, st.integers(1, 20))
def test_any_page_makes_progress_and_takes_nobody_twice(page, size):
    taken = [one for batch in partition(page, size, last_page=False) for one in batch.delivery_ids]
    assert len(taken) == len(set(taken))
    assert bool(taken) == bool(page)


def test_addresses_of_one_mailbox_provider_share_a_lane():
    planned = partition([Unbatched(1, 1, "qq.com"), Unbatched(2, 1, "foxmail.com")], 10, last_page=True)
    assert [batch.lane for batch in planned] == ["qq"]


@given(st.lists(st.integers(), min_size=2, max_size=99).map(tuple))
def test_halves_are_both_smaller_and_together_the_whole(ids):
    left, right = halves(ids)
    assert left + right == ids
    assert 0 < len(left) < len(ids)
