"""`kill -9` of the service while events stream in: nothing that was answered is lost, and nothing counts twice."""

import base64
import os
import random
import signal
import socket
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlmodel import col, func, select

from newsletter.feedback.ingest import backlog
from newsletter.feedback.models import DeliveryOutcome, EventCall, FeedbackEventRow
from newsletter.feedback.outcomes import Outcome
from newsletter.reports.issue import report_of
from tests.feedback.said import Event, Feedback, as_body
from tests.flows.serving import serving, stored_world
from tests.local_sendgrid import local_sendgrid
from tests.world import World, addresses


#: A tenth of what `KILL_EVENTS=100000` runs; four events to a reader.
EVENTS = int(os.environ.get("KILL_EVENTS", "10000"))
KILLS = int(os.environ.get("KILLS", "4"))
IN_A_CALL = 250
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def emulator(tmp_path):
    with local_sendgrid(tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    world.readers(addresses(EVENTS // 4))
    yield world
    world.database.close()


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    return number


def public_key(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def signed(body: bytes) -> dict[str, str]:
    signature = KEY.sign(b"1763860000" + body, ec.ECDSA(SHA256()))
    return {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": "1763860000",
    }


def said_of(feedback: Feedback, mailing_id: int, at: datetime) -> list[Event]:
    """Say four things of every mail; of every fourth that it bounced."""
    events = []
    for number, whose in enumerate(feedback.of(mailing_id).values()):
        events += [feedback.event(whose, kind, at) for kind in ("processed", "deferred")]
        if number % 4:
            events += [feedback.event(whose, "delivered", at), feedback.event(whose, "open", at)]
        else:
            soft = {"status": "4.2.2", "type": "blocked", "reason": "452 over quota"}
            events += [feedback.event(whose, "bounce", at, **soft), feedback.event(whose, "processed", at)]
    return events


def post_until_taken(url: str, bodies: list[bytes]) -> None:
    """Post as SendGrid does: again, until the answer is a 2xx."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while bodies:
        body = bodies.pop()
        taken = False
        while not taken:
            with suppress(OSError):
                request = urllib.request.Request(url, body, signed(body))  # noqa: S310 - loopback
                with opener.open(request, timeout=10) as answer:
                    taken = answer.status == 200
            if not taken:
                time.sleep(0.05)


def wait_until_applied(world: World) -> None:
    for _ in range(1200):
        with world.database.reading() as session:
            if not backlog(session).calls:
                return
        time.sleep(0.1)
    pytest.fail("the calls were not all applied")


def test_kill_while_events_stream_in(world, emulator, newsletter_command, tmp_path):
    chance = random.Random(20261124)  # noqa: S311 - moments to kill at
    feedback = Feedback(world)
    mailing_id = feedback.mail()
    events = said_of(feedback, mailing_id, world.clock())
    chance.shuffle(events)
    bodies = [as_body(events[start : start + IN_A_CALL]) for start in range(0, len(events), IN_A_CALL)]
    # SendGrid repeats whole calls, too.
    bodies += chance.choices(bodies, k=5)
    total, number = len(bodies), port()
    settings = {"NEWSLETTER_PORT": str(number), "NEWSLETTER_SENDGRID_WEBHOOK_KEY": public_key(KEY)}
    poster = threading.Thread(
        target=post_until_taken, args=(f"http://127.0.0.1:{number}/webhooks/sendgrid", bodies), daemon=True
    )
    poster.start()
    for _ in range(KILLS):
        with serving(newsletter_command, tmp_path, emulator, **settings) as process:
            time.sleep(chance.uniform(0.1, 0.8))
            process.send_signal(signal.SIGKILL)
            process.wait()
    with serving(newsletter_command, tmp_path, emulator, **settings):
        poster.join(timeout=120)
        wait_until_applied(world)
    readers = EVENTS // 4
    soft = (readers + 3) // 4
    with world.database.reading() as session:
        outcomes = Counter(Outcome(one) for one in session.exec(select(DeliveryOutcome.outcome)))
        opened = session.exec(select(func.count(col(DeliveryOutcome.opened_at)))).one()
        rows = Counter(str(one) for one in session.exec(select(FeedbackEventRow.kind)))
        calls = session.exec(select(func.count()).select_from(EventCall)).one()
        report = report_of(session, mailing_id)
    assert not poster.is_alive()
    # A call that was kept but whose answer was lost comes again.
    assert calls >= total
    assert outcomes == {Outcome.delivered: readers - soft, Outcome.soft: soft}
    assert opened == readers - soft
    assert rows == {"deferred": readers, "bounced": soft}
    assert report.balances
    assert (report.total.delivered, report.total.bounced, report.total.silent) == (readers - soft, soft, 0)
