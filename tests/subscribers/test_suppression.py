"""Suppression: once a reason and scope, lifted only by the same, never holding an address."""

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from subscribers import suppression
from subscribers.actors import COMMAND_LINE
from subscribers.errors import InvalidAddress, OtherPepper
from subscribers.hashing import AddressHasher
from subscribers.models import Suppression, SuppressionReason
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder, active_suppressions, reasons_against


COMPLAINT = SuppressionOrder("anna@example.com", SuppressionReason.complaint, origin="webhook")
BOUNCE = SuppressionOrder("anna@example.com", SuppressionReason.hard_bounce, publication_id=1)


@pytest.fixture
def add(session, hasher, now):
    return lambda order: suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)


@pytest.fixture
def lift(session, hasher, now):
    return lambda order: suppression.lift(session, order, hasher=hasher, by=COMMAND_LINE, now=now)


@pytest.fixture
def reasons(session, hasher):
    return lambda publication, address="Anna@Example.com": reasons_against(session, publication, address, hasher=hasher)


def test_a_suppression_everywhere_holds_in_every_publication(add, reasons):
    assert add(COMPLAINT)
    assert reasons(1) == reasons(2) == (SuppressionReason.complaint,)
    assert reasons(1, "ben@example.com") == ()


def test_a_suppression_of_one_publication_holds_only_there(add, reasons):
    add(BOUNCE)
    assert (reasons(1), reasons(2)) == ((SuppressionReason.hard_bounce,), ())


def test_adding_again_stores_nothing(session, add):
    assert [add(COMPLAINT), add(COMPLAINT), add(BOUNCE), add(BOUNCE)] == [True, False, True, False]
    assert len(session.exec(select(Suppression)).all()) == 2


def test_lifting_one_reason_leaves_the_others(add, lift, reasons):
    add(COMPLAINT)
    add(BOUNCE)
    assert lift(BOUNCE)
    assert reasons(1) == (SuppressionReason.complaint,)
    assert not lift(BOUNCE)
    assert not lift(SuppressionOrder("anna@example.com", SuppressionReason.complaint, publication_id=1))
    assert lift(COMPLAINT)
    assert reasons(1) == ()


def test_what_was_lifted_can_be_suppressed_anew_and_the_past_stays(session, add, lift, now):
    add(COMPLAINT)
    lift(COMPLAINT)
    assert add(COMPLAINT)
    past, present = session.exec(select(Suppression).order_by(col(Suppression.id))).all()
    assert (past.lifted_at, past.lifted_by, present.lifted_at) == (now, "operator:command-line", None)


def test_the_list_masks_addresses_and_is_narrowed_to_a_publication(session, add, hasher, now):
    subscribe(session, NewSubscription(1, "anna@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)
    add(BOUNCE)
    add(SuppressionOrder("unknown@example.org", SuppressionReason.imported, publication_id=2, origin="list.csv"))
    shown = [(view.masked_address, view.reason, view.publication_id) for view in active_suppressions(session)]
    assert shown == [("a***@e**.com", "hard_bounce", 1), ("", "imported", 2)]
    assert [view.reason for view in active_suppressions(session, 2)] == ["imported"]


def test_no_row_holds_an_address(session, add):
    add(COMPLAINT)
    row = session.exec(select(Suppression)).one()
    assert "anna" not in str(row.model_dump())
    assert len(row.address_hash) == 64


def test_the_database_itself_refuses_a_second_active_row(session, add):
    add(COMPLAINT)
    row = session.exec(select(Suppression)).one()
    session.add(Suppression.model_validate(row.model_dump() | {"id": row.id + 1}))
    with pytest.raises(IntegrityError):
        session.flush()


def test_bad_addresses_and_other_peppers_are_refused(session, add, now):
    with pytest.raises(InvalidAddress):
        add(SuppressionOrder("anna", SuppressionReason.operator))
    add(COMPLAINT)
    other = AddressHasher(b"quite another pepper")
    with pytest.raises(OtherPepper):
        suppression.add(session, BOUNCE, hasher=other, by=COMMAND_LINE, now=now)
    with pytest.raises(OtherPepper):
        reasons_against(session, 1, "anna@example.com", hasher=other)


def test_a_hash_depends_on_address_and_pepper(hasher):
    other = AddressHasher(b"quite another pepper")
    hashes = {hasher.hash("a@example.com"), hasher.hash("b@example.com"), other.hash("a@example.com")}
    assert len(hashes) == 3
    assert hasher.hash("a@example.com") == AddressHasher(*hasher.peppers).hash("a@example.com")
    assert hasher.key_id != other.key_id
