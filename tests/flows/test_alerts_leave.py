"""With SendGrid answering 401 to everything, an operator still hears of it by the other way."""

import base64
import json
import time

import pytest

from newsletter.delivery.lifecycle import MailingState
from tests.flows.serving import serving, stored_world
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


def test_a_halted_mailing_is_told_by_the_hook(world, newsletter_command, tmp_path):
    with local_sendgrid(tmp_path / "emulator") as emulator, web_hook() as hook, web_hook() as watch:
        emulator.fault("401", times=None)
        mailing_id = world.schedule(world.issue())
        settings = {
            "NEWSLETTER_ALERT_MAIL": "ops@example.com",
            "NEWSLETTER_ALERT_HOOKS": f"{hook.url}/told#{SECRET}",
            "NEWSLETTER_HEARTBEAT_URL": f"{watch.url}/alive",
        }
        with serving(newsletter_command, tmp_path, emulator, **settings):
            for _ in range(300):
                if hook.calls:
                    break
                time.sleep(0.1)
        assert world.mailing(mailing_id).state is MailingState.halted
        said = json.loads(hook.calls[0].body)
        assert (said["kind"], said["mailing"]) == ("key_refused", str(mailing_id))
        assert "401" in said["text"]
        assert emulator.reached() == []
