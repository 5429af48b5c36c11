"""`kill -9` of the service while events stream in: nothing that was answered is lost, and nothing counts twice."""

import base64
import os
import random
import signal
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

from newsletter.feedback.consequences import Limits
from newsletter.feedback.ingest import backlog
from newsletter.feedback.models import (
    Consequence,
    ConsequenceState,
    DeliveryOutcome,
    EventCall,
    FeedbackEventRow,
    FeedbackPolicy,
)
from newsletter.feedback.outcomes import Outcome
from newsletter.reports.issue import report_of
from subscribers.models import Subscription, SubscriptionState, Suppression
from tests.feedback.said import Event, Feedback, as_body
from tests.flows.serving import free_port, serving, stored_world
from tests.local_sendgrid import local_sendgrid
from tests.world import World, addresses


#: A tenth of what `make soak` runs; four events to a reader.
EVENTS = int(os.environ.get("KILL_EVENTS", "10000"))
KILLS = int(os.environ.get("KILLS", "4"))
IN_A_CALL = 250
#: For the last events to be applied.
PATIENCE_SECONDS = max(120, EVENTS // 50)
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def emulator(tmp_path):
    with local_sendgrid(tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    world.readers(addresses(EVENTS // 4))
    # All are of one provider: without it the bounces would be a surge, and wait for an operator.
    with world.database.writing() as session:
        session.add(FeedbackPolicy(publication_id=world.publication.id, **vars(Limits(surge_share=1.0))))
    yield world
    world.database.close()


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


def fate_of(number: int) -> str:
    """Say what becomes of a reader's mail: of twenty, five are soft, and one each is gone, complains and leaves."""
    return {1: "gone", 2: "complains", 3: "leaves"}.get(number % 20, "soft" if number % 4 == 0 else "reads")


def said_of(feedback: Feedback, mailing_id: int, at: datetime) -> list[Event]:
    """Say four things of every mail."""
    soft = {"status": "4.2.2", "type": "blocked", "reason": "452 over quota"}
    hard = {"status": "5.1.1", "type": "bounce", "reason": "550 5.1.1 no such mailbox"}
    last: dict[str, list[tuple[str, dict[str, str]]]] = {
        "soft": [("bounce", soft), ("processed", {})],
        "gone": [("bounce", hard), ("processed", {})],
        "complains": [("delivered", {}), ("spamreport", {})],
        "leaves": [("delivered", {}), ("unsubscribe", {})],
        "reads": [("delivered", {}), ("open", {})],
    }
    return [
        feedback.event(whose, kind, at, **more)
        for number, whose in enumerate(feedback.of(mailing_id).values())
        for kind, more in [("processed", {}), ("deferred", {}), *last[fate_of(number)]]
    ]


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
    for _ in range(10 * PATIENCE_SECONDS):
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
    total, number = len(bodies), free_port()
    settings = {"NEWSLETTER_PORT": str(number), "NEWSLETTER_SENDGRID_WEBHOOK_KEY": public_key(KEY)}
    poster = threading.Thread(
        target=post_until_taken, args=(f"http://127.0.0.1:{number}/webhooks/sendgrid", bodies), daemon=True
    )
    begun = time.monotonic()
    poster.start()
    for _ in range(KILLS):
        with serving(newsletter_command, tmp_path, emulator, **settings) as process:
            time.sleep(chance.uniform(0.1, 0.8))
            process.send_signal(signal.SIGKILL)
            process.wait()
    with serving(newsletter_command, tmp_path, emulator, **settings):
        poster.join(timeout=PATIENCE_SECONDS)
        wait_until_applied(world)
    seconds = time.monotonic() - begun
    readers = EVENTS // 4
    fates = Counter(fate_of(number) for number in range(readers))
    with world.database.reading() as session:
        outcomes = Counter(Outcome(one) for one in session.exec(select(DeliveryOutcome.outcome)))
        opened = session.exec(select(func.count(col(DeliveryOutcome.opened_at)))).one()
        rows = Counter(str(one) for one in session.exec(select(FeedbackEventRow.kind)))
        done = Counter((str(deed), str(reason or "")) for deed, reason in session.exec(_CONSEQUENCES))
        suppressed = Counter(str(one) for one in session.exec(_SUPPRESSED))
        states = Counter(session.exec(select(Subscription.state)))
        calls = session.exec(select(func.count()).select_from(EventCall)).one()
        report = report_of(session, mailing_id)
    print(f"\n{EVENTS:,} events, {KILLS} kills, {calls - total} calls twice, {seconds:.0f} s; {done}")  # noqa: T201 - shown with -s
    assert not poster.is_alive()
    # A call that was kept but whose answer was lost comes again.
    assert calls >= total
    delivered = fates["reads"] + fates["complains"] + fates["leaves"]
    assert outcomes == {Outcome.delivered: delivered, Outcome.soft: fates["soft"], Outcome.hard: fates["gone"]}
    assert opened == fates["reads"]
    bounced = fates["soft"] + fates["gone"]
    assert rows == {"bounced": bounced, "complained": fates["complains"], "unsubscribed": fates["leaves"]}
    gone_for_good = {"hard_bounce": fates["gone"], "complaint": fates["complains"]}
    leaving = fates["complains"] + fates["leaves"]
    assert done == {("suppress", reason): count for reason, count in gone_for_good.items()} | {("leave", ""): leaving}
    assert suppressed == gone_for_good
    assert states == {SubscriptionState.left: leaving, SubscriptionState.confirmed: readers - leaving}
    assert report.balances
    assert (report.total.delivered, report.total.bounced, report.total.silent) == (delivered, bounced, 0)
    assert (report.total.deferred_once, report.total.complained) == (readers, fates["complains"])


_CONSEQUENCES = select(Consequence.deed, Consequence.reason).where(Consequence.state == ConsequenceState.applied)
_SUPPRESSED = select(Suppression.reason).where(col(Suppression.lifted_at).is_(None))
