"""Erasing: nothing that names the person is left in any row, on both databases, whatever else was known of them."""

import pytest
from sqlmodel import SQLModel, col, select

from newsletter.providers.memory import MemoryProvider
from subscribers.actors import COMMAND_LINE
from subscribers.audience import candidates
from subscribers.consent import consent_of
from subscribers.consent_models import OptIn
from subscribers.csv_rows import Row
from subscribers.erasure import erase
from subscribers.errors import InvalidAddress
from subscribers.forgetting import PERSONAL_COLUMNS
from subscribers.importing import import_rows
from subscribers.judging import ImportTerms
from subscribers.models import Subscriber, SubscriptionState, SuppressionReason
from subscribers.roster import find_subscription
from subscribers.suppression import active_suppressions
from tests.known_person import AGENT, EMAIL, IP, NAME, TAG, TYPED, VALUE, move, sign_up_known, suppress
from tests.tables import everything
from tests.world import make_world


NEW = "Li.Na@mail.example.org"


@pytest.fixture
def world(store):
    return make_world(store, MemoryProvider())


@pytest.fixture
def known(world):
    return sign_up_known(world)


@pytest.fixture
def forget(world):
    def _forget(address=TYPED):
        with world.database.writing() as session:
            return erase(session, address, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())

    return _forget


def texts(world):
    """Every value of every row of every table, as one text, case aside."""
    return repr(everything(world.database)).casefold()


def held(world, *words):
    everything = texts(world)
    return [word for word in words if word.casefold() in everything]


def test_nothing_that_names_the_person_is_left_in_any_row(world, known, forget):
    words = (TYPED, EMAIL, NAME, IP, AGENT, TAG, VALUE)
    hashes = tuple(world.hasher.hashes(EMAIL.casefold()).values())
    assert held(world, *words) == list(words)
    erasure = forget()
    assert (erasure.subscription_ids, erasure.ended) == ((known.subscription_id,), 1)
    assert held(world, *words) == []
    with world.database.reading() as session:
        for table in (SQLModel.metadata.tables[name] for name in PERSONAL_COLUMNS):
            for row in session.execute(table.select()).mappings():
                assert not any(row[column] for column in PERSONAL_COLUMNS[table.name]), table
        suppressed = active_suppressions(session)
    assert [(one.reason, one.publication_id, one.masked_address) for one in suppressed] == [("erased", None, "")]
    # The keyed hash is all that is left: where it keeps the address from being mailed, where the outbox counts how
    # often a mailbox was mailed, until the notice is deleted, and in what waits for the journal: confirmed, left and
    # suppressed.
    assert [texts(world).count(one) for one in hashes] == [2 + 3]


def test_the_ledger_keeps_what_happened_and_not_to_whom(world, known, forget):
    with world.database.reading() as session:
        before = consent_of(session, known.subscription_id)
    forget()
    with world.database.reading() as session:
        after = consent_of(session, known.subscription_id)
        view = find_subscription(session, known.subscription_id)
        assert session.execute(candidates(world.publication.id, now=world.clock())).all() == []
    assert after[: len(before)] == before
    assert [(one.kind, one.source) for one in after[len(before) :]] == [("left", "erasure"), ("erased", "erasure")]
    assert after[-1].detail == {"from": "confirmed"}
    assert (view.state, view.email, view.name) == (SubscriptionState.left, "", "")


def test_a_second_time_changes_nothing(world, known, forget):
    forget()
    before = texts(world)
    again = forget()
    assert (again.was_stored, again.ended, again.is_newly_suppressed) == (False, 0, False)
    assert texts(world) == before


def test_somebody_who_is_not_stored_may_ask_never_to_be_mailed(world, forget):
    erasure = forget("somebody@example.net")
    assert (erasure.was_stored, erasure.is_newly_suppressed) == (False, True)
    assert held(world, "somebody@example.net") == []
    assert outcome_of_import(world, "Somebody@EXAMPLE.net") == ("suppressed", "must not be mailed: erased")


def outcome_of_import(world, address):
    terms = ImportTerms(world.publication.id, "old.csv", "test")
    with world.database.writing() as session:
        rows = [Row(2, address)]
        account = import_rows(session, rows, terms, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())[0]
    return account.outcome, account.detail


def test_an_import_does_not_bring_the_person_back(world, known, forget):
    forget()
    for spelling in (TYPED, EMAIL.lower(), EMAIL.upper()):
        assert outcome_of_import(world, spelling) == ("suppressed", "must not be mailed: erased")
    assert held(world, EMAIL) == []


def test_the_owner_comes_back_as_a_stranger_by_an_own_click_and_can_be_erased_again(world, known, forget):
    forget()
    world.clock.forward(60)
    with world.database.reading() as session:
        assert session.exec(select(Subscriber.id)).all() == [1]
    again = sign_up_again(world)
    assert again.subscription_id != known.subscription_id
    with world.database.reading() as session:
        assert find_subscription(session, again.subscription_id).state is SubscriptionState.confirmed
        assert active_suppressions(session) == []
    assert forget().is_newly_suppressed
    assert held(world, EMAIL, NAME) == []


def sign_up_again(world):
    with world.database.writing() as session:
        session.connection().exec_driver_sql("DELETE FROM attribute")
    return sign_up_known(world)


def test_a_reader_who_left_or_was_suppressed_is_erased_too(world, known, forget):
    suppress(world, EMAIL, SuppressionReason.complaint)
    with world.database.writing() as session:
        session.connection().exec_driver_sql("UPDATE subscription SET state = 'left'")
    erasure = forget()
    assert (erasure.ended, erasure.was_stored) == (0, True)
    with world.database.reading() as session:
        assert [one.reason for one in active_suppressions(session)] == ["complaint", "erased"]


def test_addresses_of_before_are_erased_with_their_person(world, known, forget):
    move(world, known, NEW)
    assert held(world, EMAIL, NEW) == [EMAIL, NEW]
    forget(NEW)
    assert held(world, EMAIL, NEW, NAME) == []


def test_an_address_of_before_can_be_erased_alone(world, known, forget):
    """Whoever has the mailbox now is not the person who moved away from it."""
    move(world, known, NEW)
    erasure = forget(EMAIL)
    assert (erasure.subscription_ids, erasure.traces, erasure.was_stored) == ((), 2, True)
    assert held(world, TYPED, EMAIL) == []
    assert held(world, NEW, NAME, IP) == [NEW, NAME, IP]


@pytest.mark.parametrize("typed", [NEW, NEW.upper(), "ｌｉ.ｎａ＠mail.example.org"])
def test_an_address_that_somebody_else_wished_for_can_be_erased(world, known, forget, typed):
    move(world, known, typed, clicks=False)
    assert held(world, typed) == [typed]
    erasure = forget("li.na@mail.example.org")
    assert erasure.traces == 2
    assert held(world, typed) == []
    with world.database.reading() as session:
        wish = session.exec(select(OptIn).order_by(col(OptIn.id))).all()[-1]
        assert wish.closed_at is not None
        assert find_subscription(session, known.subscription_id).email == EMAIL


def test_other_people_keep_everything(world, known, forget):
    world.readers(["xiaoming@qq.example.com", "wang.xiaoming@qq.example.co"])
    forget()
    others = ["xiaoming@qq.example.com", "wang.xiaoming@qq.example.co"]
    assert held(world, *others) == others
    with world.database.reading() as session:
        assert len(session.execute(candidates(world.publication.id, now=world.clock())).all()) == 2


def test_what_is_no_address_is_refused(world, known, forget):
    before = texts(world)
    with pytest.raises(InvalidAddress):
        forget("王小明明")
    assert texts(world) == before
