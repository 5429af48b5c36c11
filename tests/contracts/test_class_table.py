"""Every row of the class table (DESIGN §5): the real client against the local SendGrid's fault, and where it ends."""

import socket
import threading
from dataclasses import replace

import pytest

from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.providers.base import Ending
from newsletter.providers.sendgrid import REQUEST_LIMIT, SendGridProvider
from newsletter.providers.sendgrid_client import SendGridAccount
from tests.contracts.test_provider_contract import message
from tests.local_sendgrid import KEY, local_sendgrid
from tests.world import addresses, make_world


@pytest.fixture
def emulator(tmp_path):
    with local_sendgrid(tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def world(sqlite_store, emulator):
    """Ten readers and a real client with a short patience."""
    world = make_world(sqlite_store, emulator.provider(timeout=1.0))
    world.readers(addresses(10))
    return world


REFUSED: list[tuple[str, dict[str, float], BatchState, MailingState]] = [
    ("429", {}, BatchState.retry_wait, MailingState.running),
    ("503", {}, BatchState.retry_wait, MailingState.running),
    ("401", {}, BatchState.ready, MailingState.halted),
    ("403", {}, BatchState.ready, MailingState.halted),
    ("404", {}, BatchState.rejected, MailingState.finished),
    ("302", {}, BatchState.rejected, MailingState.finished),
    ("307", {}, BatchState.rejected, MailingState.finished),
]
AMBIGUOUS: list[tuple[str, dict[str, float], bool | None]] = [
    ("accept-then-hang", {"seconds": 5}, True),
    ("accept-then-reset", {}, True),
    ("500-after-accept", {}, True),
    ("hang-before-accept", {"seconds": 5}, False),
    ("reset-before-accept", {}, False),
    ("500", {}, False),
    ("502", {}, False),
    ("503-html", {}, False),
    ("408", {}, False),
    ("421", {}, False),
    ("200", {}, None),
    ("truncated-202", {}, None),
    ("garbage-answer", {}, None),
]


@pytest.mark.parametrize(("kind", "details", "batch", "mailing"), REFUSED)
def test_a_refusal_reaches_nobody_and_has_its_state(world, emulator, kind, details, batch, mailing):
    mailing_id = world.running()
    emulator.fault(kind, **details)
    assert dispatch_next(world.desk)
    assert world.states(mailing_id) == {batch: 1}
    assert world.mailing(mailing_id).state is mailing
    assert emulator.reached() == []
    world.account(mailing_id)


@pytest.mark.parametrize(("kind", "details", "accepted"), AMBIGUOUS)
def test_whatever_may_have_been_accepted_is_unknown_and_stays_so(world, emulator, kind, details, accepted):
    """Also when it was not: nobody can know, so nobody is mailed again."""
    mailing_id = world.running()
    emulator.fault(kind, **details)
    world.dispatch()
    world.clock.forward(86_400)
    assert world.dispatch() == 0
    assert world.states(mailing_id) == {BatchState.unknown: 1}
    assert world.mailing(mailing_id).state is MailingState.held
    assert world.account(mailing_id).standing.unknown == 10
    if accepted is not None:
        assert emulator.reached() == (addresses(10) if accepted else [])


@pytest.mark.parametrize("kind", ["429", "503"])
def test_a_throttled_batch_is_accepted_later(world, emulator, kind):
    mailing_id = world.running()
    emulator.fault(kind, times=2)
    for _ in range(3):
        world.dispatch()
        world.clock.forward(400)
    assert emulator.reached() == addresses(10)
    assert world.account(mailing_id).standing.accepted == 10


def test_a_wrong_key_halts_and_goes_on_with_the_right_one(world, emulator):
    mailing_id = world.running()
    wrong = world.having(provider=emulator.provider(key="SG.wrong"))
    assert wrong.dispatch() == 1
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.halted
    assert "401" in mailing.state_reason
    assert world.account(mailing_id).standing.pending == 10


@pytest.mark.parametrize("named", [True, False])
def test_one_bad_recipient_is_rejected_and_the_rest_is_mailed(world, emulator, named):
    mailing_id = world.running()
    emulator.fault("400-naming" if named else "400-unnamed", match="r00007@example.com", times=None)
    world.dispatch()
    standing = world.account(mailing_id).standing
    assert (standing.accepted, standing.rejected) == (9, 1)
    assert emulator.reached() == [address for address in addresses(10) if address != "r00007@example.com"]


def test_a_request_too_large_for_sendgrid_is_split(world, emulator):
    mailing_id = world.running()
    emulator.fault("413")
    world.dispatch()
    assert world.states(mailing_id) == {BatchState.split: 1, BatchState.accepted: 2}
    assert emulator.reached() == addresses(10)


def test_our_own_limit_is_below_sendgrids_and_needs_no_call(emulator):
    """A body over the limit is refused by ourselves: an early 413 could look like a reset."""
    end = emulator.provider().submit(replace(message("a@example.com"), html="x" * (REQUEST_LIMIT + 1)))
    assert end.ending is Ending.too_large
    assert end.status is None


def test_a_request_that_never_left_is_tried_again(world, emulator):
    """Nothing listens at the address: nobody can have accepted anything."""
    mailing_id = world.running()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    account = SendGridAccount(f"http://127.0.0.1:{port}", emulator.provider().account.key, 1.0, direct=True)
    nowhere = world.having(provider=SendGridProvider(account))
    assert nowhere.dispatch() == 1
    assert world.states(mailing_id) == {BatchState.ready: 1}
    world.clock.forward(60)
    world.dispatch()
    assert emulator.reached() == addresses(10)


def test_a_server_that_takes_part_of_the_request_and_goes_never_got_it(emulator):
    """The request was not wholly written: safe to try again. It is more than the kernel takes in advance."""
    big = replace(message("a@example.com"), html="x" * (REQUEST_LIMIT - 10_000))
    with socket.create_server(("127.0.0.1", 0)) as server:
        hasty = threading.Thread(target=_read_a_little_and_close, args=(server,))
        hasty.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        account = SendGridAccount(url, emulator.provider().account.key, 10.0, direct=True)
        end = SendGridProvider(account).submit(big)
        hasty.join()
    assert end.ending is Ending.never_left


def _read_a_little_and_close(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_a_proxy_of_the_environment_is_not_used_on_the_way_to_the_local_sendgrid(emulator, monkeypatch):
    """With a proxy set, a request would leave the machine."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert emulator.provider(key=KEY).submit(message("a@example.com")).ending is Ending.accepted


def test_a_connection_that_is_never_made_never_left(emulator):
    """No TLS on the other side, no name that resolves, and a machine that does not answer at all."""
    key = emulator.provider().account.key
    for url in (emulator.url.replace("http://", "https://"), "http://nowhere.invalid"):
        end = SendGridProvider(SendGridAccount(url, key, 1.0, direct=True)).submit(message("a@example.com"))
        assert end.ending is Ending.never_left, end
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        with socket.create_connection(deaf.getsockname()), socket.socket() as second:
            # The queue is full now: the kernel drops whoever else knocks.
            second.settimeout(0)
            second.connect_ex(deaf.getsockname())
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            end = SendGridProvider(SendGridAccount(url, key, 1.0, direct=True)).submit(message("a@example.com"))
    assert end.ending is Ending.never_left, end
    assert emulator.reached() == []
