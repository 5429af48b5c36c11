"""Two services on one PostgreSQL share a mailing: each batch is submitted once, by one of them."""

from collections import Counter

import pytest
from sqlmodel import select

from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Batch
from newsletter.providers.memory import MemoryProvider
from tests.flows.serving import a_minute_ago, serving, wait_for_the_end
from tests.local_sendgrid import local_sendgrid
from tests.world import addresses, make_world


READERS = 3000
PEPPER = "sixteen bytes or more"


@pytest.mark.postgres
def test_two_services_share_a_mailing(postgres_store, newsletter_command, tmp_path):
    world = make_world(postgres_store, MemoryProvider())
    world.clock.now = a_minute_ago()
    world.readers(addresses(READERS))
    settings = {
        "NEWSLETTER_DATABASE_URL": postgres_store.url.render_as_string(hide_password=False),
        "NEWSLETTER_ADDRESS_PEPPER": PEPPER,
    }
    with local_sendgrid(tmp_path / "emulator") as emulator:
        emulator.fault("slow", seconds=0.2, times=None)
        with (
            serving(newsletter_command, tmp_path, emulator, **settings),
            serving(newsletter_command, tmp_path, emulator, **settings),
        ):
            mailing_id = world.schedule(world.issue())
            wait_for_the_end(world, mailing_id)
        reached = Counter(emulator.reached())
    assert world.mailing(mailing_id).state is MailingState.finished
    assert reached == Counter(addresses(READERS))
    with postgres_store.reading() as session:
        workers = set(session.exec(select(Batch.worker)))
    assert len(workers) == 2
