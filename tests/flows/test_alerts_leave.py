"""With SendGrid answering 401 to everything, an operator still hears of it by the way that is not SendGrid."""

import base64
import json

import pytest
from sqlmodel import select

from newsletter.alerts import AlertPost, PostState
from newsletter.delivery.lifecycle import MailingState
from tests.flows.serving import serving_at_once, stored_world
from tests.local_sendgrid import local_sendgrid
from tests.web_hooks import web_hook
from tests.world import addresses


SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    world.readers(addresses(20))
    yield world
    world.database.close()


def test_a_halted_mailing_is_told_by_the_hook(world, tmp_path):
    with local_sendgrid(tmp_path / "emulator") as emulator, web_hook() as hook:
        emulator.fault("401", times=None)
        mailing_id = world.schedule(world.issue())
        settings = {
            "NEWSLETTER_ALERT_MAIL": "ops@example.com",
            "NEWSLETTER_ALERT_HOOKS": f"{hook.url}/told#{SECRET}",
            # However full the disk of whoever runs this is.
            "NEWSLETTER_DISK_RESERVE_PERCENT": "0",
            "NEWSLETTER_DISK_RESERVE_MB": "0",
        }
        with serving_at_once(tmp_path, emulator, **settings):
            hook.wait_for(1)
        assert world.mailing(mailing_id).state is MailingState.halted
        said = json.loads(hook.calls[0].body)
        # The cause has words of its own, beside those of a mailing that halts for another.
        assert (said["kind"], said["mailing"]) == ("key_refused", str(mailing_id))
        assert "401" in said["text"]
        assert emulator.reached() == []
    with world.database.reading() as session:
        (mail,) = session.exec(select(AlertPost).where(AlertPost.way == "mail"))
        assert mail.state is PostState.waiting
