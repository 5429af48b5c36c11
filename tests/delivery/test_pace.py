"""The pace of a mailing in the store: rates, calls in flight, the circuit, waves, warm-up, and what is too old."""

from dataclasses import replace
from datetime import date, timedelta
from threading import Thread

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from newsletter.alerts import Alert, AlertKind
from newsletter.delivery.claims import claim_next
from newsletter.delivery.correction_mail import CorrectionOrder, mail_correction
from newsletter.delivery.corrections import correct
from newsletter.delivery.dispatch import dispatch_batch, dispatch_next
from newsletter.delivery.doubt_models import Decision
from newsletter.delivery.lanes import hold_lane, lanes_of, open_wave
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.mailings import conclude, find_mailing, move, resume
from newsletter.delivery.models import Batch, Delivery, Lane, Mailing
from newsletter.delivery.pacing import OPENS_AFTER, Excess, Wave
from newsletter.delivery.policies import set_policy
from newsletter.delivery.releasing import release
from newsletter.delivery.scheduling import Order, schedule
from newsletter.delivery.settlement import settle
from newsletter.errors import Refused
from newsletter.journal.segments import Journal
from newsletter.providers.base import CallEnd, Ending
from subscribers.actors import COMMAND_LINE
from subscribers.filters import parse_filter
from tests.world import ISSUE, addresses, make_world


AWAY = CallEnd(Ending.never_left, detail="not reached: connection refused")


def says(world, **terms):
    with world.database.writing() as session:
        set_policy(session, world.publication.id, terms, by=COMMAND_LINE, now=world.clock())


def claim(world):
    with world.database.writing() as session:
        return claim_next(session, world.desk.claimant, now=world.clock())


def at(domain, count):
    return [one.replace("example.com", domain) for one in addresses(count)]


def claimed_at_once(world, workers):
    claims = []
    threads = [Thread(target=lambda: claims.append(claim(world))) for _ in range(workers)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return [one for one in claims if one]


def lanes_of_claims(world, claims):
    with world.database.reading() as session:
        return sorted(session.get_one(Batch, one.batch_id).lane for one in claims if one)


def hold(world, mailing_id, lane):
    with world.database.writing() as session:
        assert hold_lane(session, mailing_id, lane, Excess(2.0, "too many"), now=world.clock())
        conclude(session, mailing_id, now=world.clock())


def waves(world, mailing_id):
    with world.database.reading() as session:
        found = select(Batch.wave, Batch.state).where(Batch.mailing_id == mailing_id).order_by(col(Batch.id))
        return [(Wave(wave), state) for wave, state in session.exec(found)]


def alerts(world):
    with world.database.reading() as session:
        return [one.kind for one in session.exec(select(Alert).order_by(col(Alert.id)))]


def test_a_rate_is_kept(world):
    world.readers(addresses(30))
    says(world, recipients_per_second=10)
    world.having(batch_size=10).running()
    assert world.dispatch() == 1
    world.clock.forward(0.9)
    assert world.dispatch() == 0
    world.clock.forward(0.2)
    assert world.dispatch() == 1


def test_a_mailbox_providers_rate_slows_nobody_else(world):
    world.readers(at("qq.com", 30) + at("gmail.com", 30))
    says(world, provider_per_second={"qq": 1})
    mailing_id = world.having(batch_size=10).running()
    assert world.dispatch() == 4
    for _ in range(2):
        world.clock.forward(10.1)
        assert world.dispatch() == 1
    assert world.mailing(mailing_id).state is MailingState.finished


def test_no_more_calls_are_under_way_than_the_policy_says(world):
    world.readers(addresses(40))
    says(world, requests_in_flight=2)
    world.having(batch_size=10).running()
    first, second = claim(world), claim(world)
    assert first
    assert second
    assert claim(world) is None
    dispatch_batch(world.desk, first)
    assert claim(world)


def test_no_more_calls_to_a_provider_are_under_way_than_the_policy_says(world):
    """In all mailings of the publication together: the provider sees one sender."""
    world.readers(at("qq.com", 30) + at("gmail.com", 20))
    says(world, provider_requests_in_flight={"qq": 1})
    world.having(batch_size=10).running()
    world.schedule(world.issue(ISSUE.replace("第一期", "第二期")))
    world.having(batch_size=10).begin()
    claims = [claim(world) for _ in range(6)]
    assert lanes_of_claims(world, claims) == ["gmail"] * 4 + ["qq"]
    assert claim(world) is None
    for one in claims:
        if one:
            dispatch_batch(world.desk, one)
    world.dispatch()
    assert world.mailing(1).state is MailingState.finished
    assert world.mailing(2).state is MailingState.finished


def test_many_workers_together_keep_within_the_calls_in_flight_to_a_provider(world):
    world.readers(at("qq.com", 40) + at("gmail.com", 2))
    says(world, provider_requests_in_flight={"qq": 2})
    world.having(batch_size=2).running()
    assert lanes_of_claims(world, claimed_at_once(world, 8)).count("qq") == 2


def test_many_workers_together_keep_within_the_calls_in_flight(world):
    world.readers(addresses(40))
    says(world, requests_in_flight=3)
    world.having(batch_size=2).running()
    assert len(claimed_at_once(world, 8)) == 3


def test_many_workers_together_keep_within_the_rate(world):
    world.readers(addresses(40))
    says(world, recipients_per_second=4)
    world.having(batch_size=2).running()
    assert len(claimed_at_once(world, 8)) == 1
    world.clock.forward(1.1)
    # Half a second's worth has passed twice.
    assert len(claimed_at_once(world, 8)) == 2


def test_after_five_calls_without_an_answer_one_probe_at_a_time_is_made(world):
    world.readers(addresses(100))
    mailing_id = world.having(batch_size=10).running()
    for _ in range(OPENS_AFTER):
        world.provider.ends_next(AWAY)
    assert world.dispatch() == OPENS_AFTER
    world.clock.forward(19)
    probe = claim(world)
    assert probe
    assert claim(world) is None
    dispatch_batch(world.desk, probe)
    mailing = world.mailing(mailing_id)
    assert (mailing.failures, mailing.away_since, mailing.retry_at) == (0, None, None)
    world.clock.forward(60)
    world.dispatch()
    assert world.reached() == addresses(100)


def test_a_probe_whose_worker_died_gives_way_to_another(world):
    world.readers(addresses(100))
    world.having(batch_size=10).running()
    for _ in range(OPENS_AFTER):
        world.provider.ends_next(AWAY)
    world.dispatch()
    world.clock.forward(19)
    assert claim(world)
    world.clock.forward(61)
    assert claim(world)


def test_outcomes_that_nobody_knows_end_after_five(world):
    """Time-outs would else make a whole audience unknown."""
    world.readers(addresses(100))
    mailing_id = world.having(batch_size=10).running()
    for _ in range(10):
        world.provider.ends_next(CallEnd(Ending.ambiguous))
    world.dispatch()
    assert world.states(mailing_id) == {BatchState.unknown: 5, BatchState.ready: 5}


def test_a_journal_that_cannot_be_written_is_not_taken_for_sendgrid_being_away(world, tmp_path):
    world.readers(addresses(100))
    mailing_id = world.having(batch_size=10).running()
    (tmp_path / "journal").write_text("in the way")
    desk = replace(world.desk, journal=Journal(tmp_path / "journal", world.hasher))
    for _ in range(3):
        while dispatch_next(desk):
            pass
        world.clock.forward(10)
    mailing = world.mailing(mailing_id)
    assert (mailing.state, mailing.failures, mailing.retry_at) == (MailingState.running, 0, None)
    with world.database.reading() as session:
        (alert,) = session.exec(select(Alert)).all()
    assert (alert.kind, alert.about) == (AlertKind.calls_not_made, f"mailing {mailing_id}")
    assert alert.facts["reason"].startswith("the journal cannot be written: ")
    (tmp_path / "journal").unlink()
    while dispatch_next(desk):
        pass
    assert world.reached() == addresses(100)


def test_a_call_that_could_not_be_made_once_is_tried_again_and_nobody_is_alarmed(world):
    world.readers(addresses(3))
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(Ending.never_left, detail="the machine was paused", made=False))
    assert world.dispatch() == 1
    with world.database.reading() as session:
        assert session.exec(select(Batch.state_reason)).one() == "the call was not made: the machine was paused"
    assert alerts(world) == []
    world.clock.forward(3)
    world.dispatch()
    assert world.mailing(mailing_id).state is MailingState.finished


def test_content_that_became_old_asks_before_it_goes_on(world):
    world.readers(addresses(5))
    mailing_id = world.running()
    with world.database.writing() as session:
        move(session, mailing_id, MailingState.halted, now=world.clock())
    world.clock.forward(49 * 3600)
    with world.database.writing() as session, pytest.raises(Refused, match="due 49 hours ago"):
        resume(session, mailing_id, live=False, now=world.clock())
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=world.clock(), even_though_old=True)
    world.dispatch()
    assert world.reached() == addresses(5)


def test_a_first_wave_goes_to_a_sample_of_each_provider_and_the_rest_follows(world):
    world.readers(at("qq.com", 30) + at("gmail.com", 4))
    says(world, first_wave=10)
    mailing_id = world.running()
    world.dispatch()
    assert world.account(mailing_id).standing.accepted == 14
    assert world.mailing(mailing_id).state is MailingState.running
    with world.database.writing() as session:
        open_wave(session, mailing_id, "qq")
    world.dispatch()
    assert world.reached() == sorted(at("qq.com", 30) + at("gmail.com", 4))
    assert world.mailing(mailing_id).state is MailingState.finished


def test_half_of_a_first_wave_that_was_divided_is_still_of_the_first_wave(world):
    world.readers(at("qq.com", 30))
    says(world, first_wave=10)
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(Ending.too_large, 413))
    world.dispatch()
    assert [wave for wave, state in waves(world, mailing_id) if state is BatchState.accepted] == [Wave.first] * 2
    assert len(world.reached()) == 10


def test_a_held_lane_stops_no_other_and_then_the_mailing_is_held(world):
    world.readers(at("qq.com", 10) + at("gmail.com", 10))
    mailing_id = world.running()
    hold(world, mailing_id, "qq")
    assert world.mailing(mailing_id).state is MailingState.running
    world.dispatch()
    assert world.reached() == at("gmail.com", 10)
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.held
    assert mailing.state_reason == f"held: qq: too many; 10 recipients wait: `newsletter mailing release {mailing_id}`"
    with world.database.writing() as session, pytest.raises(Refused, match="mailing release"):
        resume(session, mailing_id, live=False, now=world.clock())


def test_what_is_released_goes_on_and_who_did_it_is_kept(world):
    world.readers(at("qq.com", 10) + at("sina.com", 10))
    mailing_id = world.running()
    hold(world, mailing_id, "qq")
    hold(world, mailing_id, "sina")
    assert world.mailing(mailing_id).state is MailingState.held
    with world.database.writing() as session:
        with pytest.raises(Refused, match="gmail is not held"):
            release(session, mailing_id, by=COMMAND_LINE, now=world.clock(), providers=["gmail"])
        assert [
            one.waiting for one in release(session, mailing_id, by=COMMAND_LINE, now=world.clock(), providers=["qq"])
        ]
    world.dispatch()
    assert world.reached() == at("qq.com", 10)
    assert world.mailing(mailing_id).state is MailingState.held
    with world.database.writing() as session:
        release(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    world.dispatch()
    assert world.mailing(mailing_id).state is MailingState.finished
    with world.database.reading() as session:
        assert {one.released_by for one in lanes_of(session, mailing_id)} == {str(COMMAND_LINE)}


def test_what_is_released_goes_on_also_where_an_outcome_is_unknown(world):
    world.readers(addresses(3) + at("qq.com", 3))
    mailing_id = world.running()
    hold(world, mailing_id, "qq")
    world.provider.loses_next()
    world.dispatch()
    assert world.mailing(mailing_id).state_reason.startswith("outcome unknown for 3 of 6")
    with world.database.writing() as session:
        release(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    assert world.mailing(mailing_id).state is MailingState.running
    assert world.dispatch() == 1
    assert sum(one.endswith("qq.com") for one in world.reached()) == 3
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.held
    assert mailing.state_reason.startswith("outcome unknown for 3 of 6")


@pytest.mark.parametrize("settles_first", [True, False])
def test_a_mailing_goes_on_once_both_its_doubt_and_its_lane_are_decided(world, settles_first):
    world.readers(addresses(3) + at("qq.com", 3))
    mailing_id = world.running()
    hold(world, mailing_id, "qq")
    world.provider.loses_next()
    world.dispatch()
    with world.database.writing() as session:
        if settles_first:
            settle(session, mailing_id, Decision.accepted, by=COMMAND_LINE, now=world.clock())
            assert find_mailing(session, mailing_id).state_reason.startswith("held: qq: too many; 3 recipients wait")
        release(session, mailing_id, by=COMMAND_LINE, now=world.clock())
        if not settles_first:
            settle(session, mailing_id, Decision.accepted, by=COMMAND_LINE, now=world.clock())
    assert world.dispatch() == 1
    assert world.mailing(mailing_id).state is MailingState.finished


def test_what_is_held_for_something_else_is_not_let_go_with_its_lanes(world):
    world.readers(at("qq.com", 3))
    mailing_id = world.running()
    with world.database.writing() as session:
        assert hold_lane(session, mailing_id, "qq", Excess(2.0, "too many"), now=world.clock())
        move(session, mailing_id, MailingState.held, now=world.clock(), reason="SendGrid has been away")
        release(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    assert world.mailing(mailing_id).state is MailingState.held
    assert world.dispatch() == 0


def warming(world, *sizes):
    says(world, warm_up=sizes, warm_up_from=str(date(2026, 11, 23)))


def test_a_warm_up_reaches_paid_readers_first_and_then_who_has_read_longest(world):
    world.readers(addresses(6))
    world.clock.forward(60)
    world.readers(addresses(2, start=50), plan="pro")
    warming(world, 5)
    mailing_id = world.running()
    world.dispatch()
    assert world.reached() == sorted(addresses(3) + addresses(2, start=50))
    assert world.mailing(mailing_id).state is MailingState.running
    assert world.account(mailing_id).standing.pending == 3


def test_what_a_cohort_leaves_over_is_superseded_when_the_next_mailing_begins(world):
    world.readers(addresses(10))
    warming(world, 4, 6)
    first = world.running()
    world.dispatch()
    world.clock.forward(7 * 86400)
    second = world.schedule(world.issue(ISSUE.replace("第一期", "第二期")))
    assert world.begin() == [second]
    old = world.account(first).standing
    assert (old.accepted, old.skipped, old.pending) == (4, 6, 0)
    assert world.mailing(first).state is MailingState.finished
    left = [one for one in world.deliveries(first) if one.difference is Difference.skipped]
    assert {(one.reason, one.may_have_reached) for one in left} == {("superseded", False)}
    world.dispatch()
    assert world.account(second).standing.accepted == 6
    assert AlertKind.superseded in alerts(world)


@pytest.mark.parametrize(("later", "left_out"), [("plan=pro", 0), ("", 6)])
def test_only_a_mailing_that_is_meant_for_them_takes_the_place_of_who_was_left_over(world, later, left_out):
    world.readers(addresses(9))
    world.readers(addresses(1, start=60), plan="pro")
    warming(world, 4, 100)
    first = world.running()
    world.dispatch()
    world.clock.forward(7 * 86400)
    second = world.schedule(world.issue(ISSUE.replace("第一期", "第二期")), audience=parse_filter(later))
    assert world.begin() == [second]
    standing = world.account(first).standing
    assert (standing.skipped, standing.pending) == (left_out, 6 - left_out)


def test_a_mailing_to_the_same_audience_takes_the_place_of_who_was_left_over(world):
    world.readers(addresses(10))
    warming(world, 4, 100)
    audience = parse_filter("plan=free")
    first = world.schedule(world.issue(), audience=audience)
    world.begin()
    world.dispatch()
    world.schedule(world.issue(ISSUE.replace("第一期", "第二期")), audience=audience)
    world.begin()
    assert world.account(first).standing.skipped == 6


def test_a_correction_of_an_older_issue_takes_nobodys_place(world):
    world.readers(addresses(10))
    old = world.issue(ISSUE.replace("第一期", "第零期"))
    world.schedule(old)
    world.begin()
    world.dispatch()
    warming(world, 4)
    first = world.running()
    world.dispatch()
    world.issue(ISSUE.replace("第一期", "第零期").replace("平稳", "很平稳"), revises=old)
    with world.database.writing() as session:
        made = correct(session, old, "一处更正", world.workshop, live=False, by=COMMAND_LINE, now=world.clock())
        mail_correction(session, CorrectionOrder(made, ""), by=COMMAND_LINE, now=world.clock())
    assert len(world.begin()) == 1
    assert world.account(first).standing.pending == 6


def test_a_mailing_that_cannot_be_rendered_takes_nobodys_place(world):
    world.readers(addresses(10))
    warming(world, 4)
    first = world.running()
    world.dispatch()
    second = world.schedule(world.issue(ISSUE.replace("第一期", "第二期")))
    with world.database.writing() as session:
        session.execute(update(Mailing).where(col(Mailing.id) == second).values(audience="plan=gone"))
    world.begin()
    assert world.mailing(second).state is MailingState.halted
    assert world.account(first).standing.pending == 6


def test_who_was_left_over_is_superseded_by_what_begins_later_whenever_it_was_scheduled(world):
    world.readers(addresses(10))
    warming(world, 4, 100)
    then = world.clock() + timedelta(days=7)
    order = Order(world.issue(ISSUE.replace("第一期", "第二期")), then)
    with world.database.writing() as session:
        second = schedule(session, order, world.workshop, by=COMMAND_LINE, now=world.clock()).id
    first = world.running()
    world.dispatch()
    world.clock.now = then
    assert world.begin() == [second]
    assert first > second
    assert world.mailing(first).state is MailingState.finished
    assert world.account(first).standing.skipped == 6


def test_a_warm_up_and_a_first_wave_go_together(world):
    world.readers(addresses(20))
    says(world, first_wave=3)
    warming(world, 10)
    mailing_id = world.running()
    with world.database.reading() as session:
        sizes = {wave: len(ids) for wave, ids in _deliveries_by_wave(session, mailing_id).items()}
    assert sizes == {Wave.first: 3, Wave.rest: 7, Wave.later: 10}


def _deliveries_by_wave(session, mailing_id):
    found = select(Batch.wave, Delivery.id).join(Delivery, col(Delivery.batch_id) == col(Batch.id))
    by_wave: dict[Wave, list[int]] = {}
    for wave, one in session.exec(found.where(Batch.mailing_id == mailing_id)):
        by_wave.setdefault(Wave(wave), []).append(one)
    return by_wave


def test_a_publication_whose_pace_is_used_up_stops_no_other(world):
    other = make_world(world.database, world.provider, "other")
    for one in (world, other):
        one.readers(addresses(4))
    says(world, recipients_per_second=1)
    says(other, recipients_per_second=1)
    for one in (world, other):
        one.having(batch_size=2).running()
    assert world.dispatch() == 2
    assert len(world.reached()) == 4


def test_a_lane_whose_pace_is_used_up_is_looked_at_again_when_its_time_comes(world):
    world.readers(addresses(2))
    mailing_id = world.running()
    with world.database.writing() as session:
        session.execute(
            update(Lane)
            .where(col(Lane.mailing_id) == mailing_id)
            .values(not_before=world.clock() + timedelta(seconds=5))
        )
    assert not dispatch_next(world.desk)
    world.clock.forward(6)
    assert dispatch_next(world.desk)
