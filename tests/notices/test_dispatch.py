"""Sending notices: each ending of a call, a crash at each step, and the last look, on both databases."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import structlog
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from newsletter.alerts import Alert, AlertKind
from newsletter.database import sqlite_module
from newsletter.notices.claims import AFTER, GIVE_UP_AFTER, LONGEST_WAIT_SECONDS, claim_next, wait_seconds
from newsletter.notices.dispatch import send_next, tidy
from newsletter.notices.kinds import RULES
from newsletter.outbox import NoticeKind, NoticeState, cancel, enqueue
from newsletter.providers.base import CallEnd, Ending, Message
from newsletter.signing import LIFETIMES, LinkSigner, Purpose
from subscribers.actors import READER
from subscribers.consent import consent_of
from subscribers.consent_models import ConsentKind
from subscribers.forgetting import forget
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import SubscriptionState, SuppressionReason
from tests.office import NEW_ADDRESS, OLD_ADDRESS, READER_ADDRESS, SIGNER, SITE


def link_in(text):
    (link,) = [line for line in text.splitlines() if line.startswith(SITE)]
    return link


def forget_the_reader(office):
    with office.world.database.writing() as session:
        forget(session, [office.reader.subscriber_id], now=office.world.clock())


def the_reader_leaves(office):
    with office.world.database.writing() as session:
        leave(session, office.reader.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=office.world.clock())


@pytest.mark.parametrize("kind", NoticeKind)
def test_each_kind_goes_once_to_whom_it_is_for(office, kind):
    notice_id = office.put(kind)
    assert office.send() == 1
    assert office.send() == 0
    going = {NoticeKind.confirm_address: NEW_ADDRESS, NoticeKind.address_changed: OLD_ADDRESS}
    assert office.provider.reached() == [going.get(kind, READER_ADDRESS)]
    notice = office.notice(notice_id)
    assert notice.state is NoticeState.accepted
    assert notice.message_id
    assert notice.ended_at == office.world.clock()


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_of_a_call_leads_where_the_table_says(office, ending):
    notice_id = office.put(NoticeKind.confirm)
    office.provider.ends_next(CallEnd(ending, 400, detail="as the script says"))
    assert office.send() == 1
    notice = office.notice(notice_id)
    assert notice.state is AFTER[ending]
    assert ("as the script says" in notice.reason) is (ending is not Ending.accepted)
    assert (notice.not_before is not None) is (AFTER[ending] is NoticeState.waiting)
    office.world.clock.forward(LONGEST_WAIT_SECONDS)
    assert office.send() == (1 if AFTER[ending] is NoticeState.waiting else 0)


def test_a_key_that_is_refused_is_told_once_an_hour(office):
    for _ in range(2):
        office.put(NoticeKind.confirm)
    office.provider.ends_next(*[CallEnd(Ending.unauthorised, 401, detail="revoked")] * 2, CallEnd(Ending.throttled))
    assert office.send() == 2
    office.put(NoticeKind.confirm)
    assert office.send() == 1
    with office.world.database.reading() as session:
        (alert,) = session.exec(select(Alert))
    assert (alert.kind, alert.repeats, alert.live) == (AlertKind.notices_refused, 1, office.world.live)
    assert "401 (unauthorised): revoked" in alert.facts["said"]


def test_what_may_have_been_accepted_is_never_sent_again_by_machine(office):
    office.put(NoticeKind.confirm)
    office.provider.ends_next(CallEnd(Ending.ambiguous))
    office.send()
    for _ in range(100):
        office.world.clock.forward(3600)
        tidy(office.world.database, live=False, now=office.world.clock())
        assert office.send() == 0
    assert office.provider.accepted == []


def test_waits_grow_to_an_hour_and_end_after_a_day(office):
    notice_id = office.put(NoticeKind.confirm)
    begun, waits = office.world.clock(), []
    while office.notice(notice_id).state is NoticeState.waiting:
        office.provider.ends_next(CallEnd(Ending.never_left))
        assert office.send() == 1
        if (until := office.notice(notice_id).not_before) and office.notice(notice_id).state is NoticeState.waiting:
            waits.append((until - office.world.clock()).total_seconds())
            office.world.clock.now = until
    assert waits[:4] == [2, 4, 8, 16]
    assert max(waits) == LONGEST_WAIT_SECONDS
    assert waits == sorted(waits)
    assert office.notice(notice_id).state is NoticeState.refused
    assert office.world.clock() - begun <= GIVE_UP_AFTER


@pytest.mark.parametrize(("asked", "waits"), [(120.0, 120.0), (0.0, 2.0), (7200.0, 3600.0), (None, 2.0)])
def test_a_wait_that_the_provider_asks_for_is_kept_up_to_an_hour(asked, waits):
    assert wait_seconds(1, asked) == waits


def test_a_second_try_sends_the_same_bytes(office):
    office.put(NoticeKind.confirm)
    first: list[Message] = []
    office.provider.answering = first.append
    office.provider.ends_next(CallEnd(Ending.throttled, 429))
    office.send()
    office.world.clock.forward(7200)
    office.provider.answering = None
    office.send()
    (second,) = office.provider.accepted
    for part in ("subject", "html", "text", "headers", "sender", "reply_to"):
        assert getattr(first[0], part) == getattr(second, part)
    assert first[0].recipients[0].custom_args["attempt_id"] != second.recipients[0].custom_args["attempt_id"]


def test_a_crash_before_the_call_is_claimed_again_when_the_lease_has_ended(office):
    notice_id = office.put(NoticeKind.confirm)
    desk = office.desk
    with desk.database.writing() as session:
        until = office.world.clock().replace(hour=2)
        assert claim_next(session, live=False, lease_until=until, now=office.world.clock())
    assert office.send() == 0
    office.world.clock.now = until
    assert office.send() == 1
    assert office.notice(notice_id).state is NoticeState.accepted


@pytest.mark.parametrize("alone", [False, True])
def test_a_crash_during_the_call_is_unknown_and_not_sent_again(office, alone):
    notice_id = office.put(NoticeKind.confirm)

    def crash(_):
        raise KeyboardInterrupt

    office.provider.answering = crash
    with pytest.raises(KeyboardInterrupt):
        office.send()
    office.provider.answering = None
    assert office.notice(notice_id).state is NoticeState.sending
    tidy(office.world.database, live=False, now=office.world.clock(), alone=alone)
    assert office.notice(notice_id).state is (NoticeState.unknown if alone else NoticeState.sending)
    office.world.clock.forward(61)
    tidy(office.world.database, live=False, now=office.world.clock())
    assert office.notice(notice_id).state is NoticeState.unknown
    assert office.send() == 0


def test_a_start_gives_back_at_once_what_a_dead_process_had_claimed(office):
    office.put(NoticeKind.confirm)
    with office.world.database.writing() as session:
        claim_next(session, live=False, lease_until=office.world.clock().replace(hour=9), now=office.world.clock())
    tidy(office.world.database, live=False, now=office.world.clock(), alone=True)
    assert office.send() == 1


def test_a_worker_that_was_taken_for_dead_repairs_what_it_knows(office):
    notice_id = office.put(NoticeKind.confirm)

    def sweep_meanwhile(_):
        office.world.clock.forward(61)
        tidy(office.world.database, live=False, now=office.world.clock())
        assert office.notice(notice_id).state is NoticeState.unknown

    office.provider.answering = sweep_meanwhile
    office.send()
    assert office.notice(notice_id).state is NoticeState.accepted


def test_several_workers_send_each_notice_once(office):
    for _ in range(20):
        office.put(NoticeKind.welcome)
    errors = []

    def work():
        try:
            # A claim that another was faster with is no end of the work.
            for _ in range(60):
                send_next(office.desk)
        except OperationalError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    sent = [one.custom_args["notice"] for one in office.provider.recipients()]
    assert len(sent) == len(set(sent)) == 20


def test_what_a_person_waits_for_goes_before_the_rest(office):
    order = [office.put(kind) for kind in (NoticeKind.renewal, NoticeKind.welcome, NoticeKind.sign_in)]
    office.send()
    sent = [int(one.custom_args["notice"]) for one in office.provider.recipients()]
    assert sent == [order[2], order[0], order[1]]


@pytest.mark.parametrize("kind", NoticeKind)
def test_who_is_suppressed_gets_only_what_lets_them_lift_it_themselves(small_office, kind):
    office, let = small_office, set()
    moved = SuppressionReason.moved
    lifted_by_readers = {
        SuppressionReason.unsubscribed,
        SuppressionReason.erased,
        SuppressionReason.soft_bounces,
        moved,
    }
    for reason in SuppressionReason:
        notice_id = office.put(kind)
        for address in (READER_ADDRESS, NEW_ADDRESS, OLD_ADDRESS):
            office.suppress(reason, address=address)
        office.send()
        notice = office.notice(notice_id)
        if notice.state is NoticeState.accepted:
            let.add(reason)
        else:
            assert (notice.state, notice.reason) == (NoticeState.dropped, f"suppressed: {reason}")
        office.lift_all()
    lets_them = {NoticeKind.confirm, NoticeKind.confirm_address, NoticeKind.already_subscribed}
    # The mailbox that was left is told so, and by that alone.
    told = {moved} if kind is NoticeKind.address_changed else set()
    assert let == (lifted_by_readers if kind in lets_them else told)


def test_one_reason_that_no_reader_can_lift_is_enough(office):
    office.put(NoticeKind.confirm)
    office.suppress(SuppressionReason.unsubscribed)
    office.suppress(SuppressionReason.complaint)
    office.send()
    assert office.provider.accepted == []


@pytest.mark.parametrize("kind", NoticeKind)
def test_nobody_who_was_erased_is_mailed(small_office, kind):
    notice_id = small_office.put(kind)
    forget_the_reader(small_office)
    small_office.send()
    assert small_office.provider.accepted == []
    assert small_office.notice(notice_id).state is NoticeState.dropped


@pytest.mark.parametrize("kind", NoticeKind)
def test_what_is_no_longer_true_is_not_sent(small_office, kind):
    states = RULES[kind].states or set(SubscriptionState)
    sent = set()
    for state in SubscriptionState:
        notice_id = small_office.put(kind)
        small_office.state(state)
        small_office.send()
        if small_office.notice(notice_id).state is NoticeState.accepted:
            sent.add(state)
    assert sent == states


@pytest.mark.parametrize("ended", ["confirmed_at", "closed_at"])
@pytest.mark.parametrize("kind", [NoticeKind.confirm, NoticeKind.confirm_address])
def test_a_request_that_has_ended_is_not_confirmed_any_more(office, kind, ended):
    notice_id = office.put(kind)
    office.change("opt_in", office.notice(notice_id).opt_in_id, f"{ended} = created_at")
    office.send()
    assert office.provider.accepted == []
    assert office.notice(notice_id).reason == "no longer asked for"


def test_a_link_that_has_expired_is_not_sent(office):
    notice_id = office.put(NoticeKind.sign_in)
    office.world.clock.now += LIFETIMES[Purpose.sign_in]
    office.send()
    assert office.notice(notice_id).reason == "its link has expired"


@pytest.mark.parametrize(
    ("allow_list", "goes"),
    [
        ((), True),
        ((READER_ADDRESS,), True),
        (("@qq.example.com",), True),
        (("@example.com",), False),
        (("other@qq.example.com",), False),
    ],
)
def test_an_allow_list_holds_for_notices_too(office, allow_list, goes):
    office.world.allow_list = allow_list
    notice_id = office.put(NoticeKind.confirm)
    office.send()
    assert len(office.provider.accepted) == int(goes)
    assert goes or office.notice(notice_id).reason == "not on the allow-list"


@dataclass(frozen=True)
class InterruptedSigner(LinkSigner):
    """Signs, and something happens before it is done."""

    meanwhile: Callable[[], object] = lambda: None

    def sign(self, purpose, *ids, at):
        self.meanwhile()
        return super().sign(purpose, *ids, at=at)


def test_who_leaves_while_the_mail_is_built_is_not_mailed(office):
    """Between the first look and the last: what was built is thrown away, and the next look sees the truth."""
    notice_id = office.put(NoticeKind.sign_in)
    signer = InterruptedSigner(SIGNER.keys, meanwhile=lambda: the_reader_leaves(office))
    desk = replace(office.desk, stationery=replace(office.desk.stationery, signer=signer))
    assert send_next(desk)
    assert office.notice(notice_id).state is NoticeState.waiting
    assert send_next(desk)
    assert office.provider.accepted == []
    assert office.notice(notice_id).reason == "left"


def test_a_mail_that_cannot_be_built_waits_and_keeps_no_other_waiting(office):
    broken = office.put(NoticeKind.read_again)
    office.change("notice", broken, """detail = '{"mailing_id": "seven", "title": "x"}'""")
    whole = office.put(NoticeKind.welcome)
    with structlog.testing.capture_logs() as lines:
        office.send()
    assert office.notice(whole).state is NoticeState.accepted
    notice = office.notice(broken)
    assert notice.state is NoticeState.waiting
    assert notice.reason == "no answer (never_left): it could not be built: ValueError"
    assert notice.not_before > office.world.clock()
    assert READER_ADDRESS not in str(lines)


def test_a_known_answer_is_recorded_though_the_database_is_away_for_a_moment(small_office):
    """Another process holds the file for longer than a writer waits: the 202 must not become unknown."""
    notice_id = small_office.put(NoticeKind.confirm)
    store = small_office.world.database
    holder = sqlite_module().connect(store.file, check_same_thread=False, isolation_level=None)
    with store.writer.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")

    def hold(_):
        holder.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, lambda: holder.execute("ROLLBACK")).start()

    small_office.provider.answering = hold
    small_office.send()
    assert small_office.notice(notice_id).state is NoticeState.accepted
    holder.close()


@pytest.mark.parametrize("kind", NoticeKind)
def test_the_ledger_of_consent_knows_which_confirming_mail_was_sent(office, kind):
    """And only once it is sure that it was."""
    notice_id = office.put(kind)
    office.provider.ends_next(CallEnd(Ending.throttled), CallEnd(Ending.accepted, 202, "id-of-the-mail"))
    office.send()
    assert proofs(office) == []
    office.world.clock.forward(60)
    office.send()
    (mail,) = office.provider.accepted
    digest = hashlib.sha256(mail.text.encode()).hexdigest()
    said = {"notice": str(notice_id), "message_id": "id-of-the-mail", "text_sha256": digest}
    confirming = kind in {NoticeKind.confirm, NoticeKind.confirm_address}
    assert proofs(office) == ([(said, office.world.clock())] if confirming else [])


def proofs(office):
    with office.world.database.reading() as session:
        events = consent_of(session, office.reader_id)
    return [(one.detail, one.at) for one in events if one.kind is ConsentKind.confirm_sent]


def test_links_are_signed_as_of_the_order_and_carry_what_they_act_on(small_office):
    office = small_office
    made = office.world.clock()
    confirm, sign_in, read = (
        office.put(kind) for kind in (NoticeKind.confirm, NoticeKind.sign_in, NoticeKind.read_again)
    )
    address = office.put(NoticeKind.confirm_address)
    office.world.clock.forward(600)
    office.state(SubscriptionState.confirmed)
    office.send()
    text_of = {int(one.recipients[0].custom_args["notice"]): one.text for one in office.provider.accepted}
    opt_in, moved = office.notice(confirm).opt_in_id, office.notice(address).opt_in_id
    for notice_id, path, purpose, ids in (
        (confirm, "/confirm/", Purpose.confirm, (opt_in,)),
        (address, "/confirm/", Purpose.change_address, (moved,)),
        (sign_in, "/issues/weekly/sign-in/", Purpose.sign_in, (office.reader_id,)),
        (read, "/read/", Purpose.read, (office.reader_id, 7)),
    ):
        token = link_in(text_of[notice_id]).removeprefix(SITE + path)
        assert SIGNER.ids(purpose, token, now=office.world.clock()) == ids
        assert token == SIGNER.sign(purpose, *ids, at=made)


def test_a_goodbye_leaves_though_what_waited_before_is_dropped(office):
    welcome = office.put(NoticeKind.welcome)
    the_reader_leaves(office)
    order = office.order(NoticeKind.goodbye)
    with office.world.database.writing() as session:
        cancel(session, [office.reader_id], reason="the reader left", now=office.world.clock())
        enqueue(session, order, now=office.world.clock())
    office.send()
    assert [one.subject for one in office.provider.accepted] == ["已退订《测试刊》"]
    assert office.notice(welcome).state is NoticeState.dropped
