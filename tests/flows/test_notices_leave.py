"""`serve` sends notices by itself, also while a large mailing keeps every dispatch thread busy, and ends in order."""

import time

import pytest

from newsletter.outbox import NoticeKind, NoticeState
from tests.flows.serving import serving, stored_world
from tests.local_sendgrid import local_sendgrid
from tests.office import READER_ADDRESS, Office
from tests.world import addresses


READERS = 2000


@pytest.fixture
def office(tmp_path):
    world = stored_world(tmp_path)
    world.readers([READER_ADDRESS])
    world.readers(addresses(READERS))
    yield Office(world, reader_id=1)
    world.database.close()


def wait_until(so):
    for _ in range(600):
        if so():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen")


def test_a_notice_does_not_wait_for_a_mailing(office, newsletter_command, tmp_path):
    with local_sendgrid(tmp_path / "emulator") as emulator:
        emulator.fault("slow", seconds=0.5, times=None)
        mailing_id = office.world.schedule(office.world.issue())
        with serving(newsletter_command, tmp_path, emulator, NEWSLETTER_DISPATCH_THREADS="1") as process:
            wait_until(lambda: office.world.account(mailing_id).standing.accepted)
            notice_id = office.put(NoticeKind.welcome)
            wait_until(lambda: office.notice(notice_id).state is NoticeState.accepted)
            assert office.world.account(mailing_id).standing.pending
            process.terminate()
            assert process.wait(timeout=30) == 0
        notices = [one for one in emulator.deliveries() if "notice" in one["custom_args"]]
    assert [(one["to"], one["subject"]) for one in notices] == [(READER_ADDRESS, "欢迎订阅《测试刊》")]
