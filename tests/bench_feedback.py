# ruff: noqa: S608, ISC004, E501 - rows of our own, written as SQL by the million
"""Benchmarks of the feedback, with a million deliveries in the store: accepting calls, applying them, the report."""

import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import uvicorn
from sqlalchemy import text
from sqlmodel import Session

from newsletter.cli.place import listening
from newsletter.composition import Service
from newsletter.feedback.ingest import apply_next
from newsletter.publications import publication_named
from newsletter.reports.growth import growth_of, health_of
from newsletter.reports.issue import arrivals, report_of
from newsletter.reports.page import Page, render_page
from newsletter.reports.publication import last_issues
from newsletter.reports.sheet import Sheet
from newsletter.settings import Settings
from newsletter.web.app import create_app
from tests.feedback.said import as_body
from tests.flows.serving import stored_world
from tests.flows.test_kill_feedback import KEY, public_key, signed
from tests.world import TEMPLATES, World


DELIVERIES = 1_000_000
IN_A_BATCH = 1000
#: Events of a measurement.
EVENTS = 60_000


def store(folder: Path) -> tuple[World, int]:
    """Make a store with a million deliveries of one mailing: one that was really mailed, with rows laid beside it."""
    world = stored_world(folder)
    world.readers(["first@example.com"])
    mailing_id = world.running()
    world.dispatch()
    with world.database.writing() as session:
        _lay_rows(session, mailing_id)
    return world, mailing_id


def _lay_rows(session: Session, mailing_id: int) -> None:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {DELIVERIES})"
    batches = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= {DELIVERIES // IN_A_BATCH})"
    lanes = "CASE i % 3 WHEN 0 THEN 'qq' WHEN 1 THEN 'netease' ELSE 'gmail' END"
    for statement in (
        f"{numbers} INSERT INTO subscriber SELECT i, NULL, 'r' || i || '@example.com', 'r' || i || '@example.com', "
        "'example.com', '', '', created_at, NULL FROM n, subscriber WHERE subscriber.id = 1",
        f"{numbers} INSERT INTO subscription SELECT i, publication_id, i, plan_id, state, 'u' || i, created_at, asked_at, "
        "confirmed_at, left_at, paused_until, plan_until, noticed_until FROM n, subscription WHERE subscription.id = 1",
        f"{batches} INSERT INTO batch (id, mailing_id, variant_id, lane, state, state_reason, attempt, tries, worker, "
        f"created_at) SELECT i, mailing_id, variant_id, {lanes}, state, '', 1, 1, '', created_at "
        "FROM n, batch WHERE batch.id = 1",
        f"{batches} INSERT INTO attempt (id, batch_id, number, size, submitting_at, ended_at, ending, status, message_id, "
        f"detail) SELECT 'a' || i, i, 1, {IN_A_BATCH}, submitting_at, ended_at, ending, 202, 'm' || i, '' "
        "FROM n, attempt WHERE attempt.batch_id = 1",
        f"{numbers} INSERT INTO delivery SELECT i, mailing_id, issue_id, i, i, 2 + (i - 2) / {IN_A_BATCH}, NULL, '', live, "
        "round, may_have_reached FROM n, delivery WHERE delivery.id = 1",
        f"{numbers} INSERT INTO consent_event (publication_id, subscriber_id, subscription_id, plan_id, kind, at, by, source, "
        "detail) SELECT publication_id, i, i, plan_id, kind, at, by, source, detail FROM n, consent_event "
        "WHERE consent_event.id = 1",
        f"UPDATE mailing SET candidates = {DELIVERIES}, recipients = {DELIVERIES} WHERE id = {mailing_id}",
        "ANALYZE",
    ):
        session.execute(text(statement))


#: What became of all the others, so that the report has a million outcomes to count.
_OUTCOMES = (
    "INSERT INTO delivery_outcome (delivery_id, outcome, outcome_at, opened_at) SELECT id, CASE WHEN id % 50 = 0 THEN 50 "
    "ELSE 30 END, '2026-11-23 09:00:00.000000', CASE WHEN id % 3 = 0 THEN '2026-11-23 10:00:00.000000' END FROM delivery "
    "WHERE id NOT IN (SELECT delivery_id FROM delivery_outcome)"
)


def bodies(in_a_call: int, first: int) -> Iterator[bytes]:
    """Write calls as a mailing brings them: processed and delivered of each mail, one in fifty a bounce."""
    events = []
    for number in range(first, first + EVENTS // 2):
        whose = {
            "email": f"r{number}@example.com",
            "delivery": str(number),
            "attempt_id": f"a{2 + (number - 2) // IN_A_BATCH}",
            "timestamp": 1763860000,
            "sg_message_id": f"m{number}.recvd-5f54b5d587-pczjm-1-67BADEEA-6.0",
            "smtp-id": f"<m{number}@geopod-ismtpd-1>",
        }
        end = {"event": "delivered", "response": "250 2.0.0 OK  1763860000 d9443c01a7336-2ea05", "tls": 1}
        if number % 50 == 0:
            end = {"event": "bounce", "reason": "552 over quota", "status": "5.2.2", "type": "bounce"}
        events.append({**whose, "event": "processed", "sg_event_id": f"p{number}"})
        events.append({**whose, **end, "sg_event_id": f"d{number}"})
    for start in range(0, len(events), in_a_call):
        yield as_body(events[start : start + in_a_call])


def feedback() -> Iterator[tuple[str, float, str, float, str, float]]:
    """Give name, rate, unit, and the reference's name and seconds, with our own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world, mailing_id = store(folder)
        settings = Settings(_env_file=None, data_dir=folder, sendgrid_webhook_key=public_key(KEY))
        service = Service(settings)
        for in_a_call, first in ((100, 2), (3000, 2 + EVENTS)):
            calls = list(bodies(in_a_call, first))
            took, waits = _accept(service, calls)
            yield f"accept, {in_a_call} events a call", EVENTS, "events/s", took, "", took
            yield f"acknowledged, p99, {in_a_call} events a call", _p99(waits) * 1000, "ms", 1.0, "", 1.0
            applying = _timed(lambda: _apply_all(service))
            yield f"apply, {in_a_call} events a call", EVENTS, "events/s", applying, "accepting them", took
        with world.database.writing() as session:
            session.execute(text(_OUTCOMES))
        with world.database.reading() as session:
            counting = _timed(lambda: session.execute(text("SELECT count(*) FROM delivery")).scalar())
            for what, work in _reports(session, mailing_id, world.clock()):
                took = _timed(work)
                yield f"{what} of a million", took * 1000, "ms", 1.0, "counting the rows", counting / took
        service.database.close()
        world.database.close()


def _reports(session: Session, mailing_id: int, now: datetime) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give what an operator asks for, each from the rows to the last letter."""
    publication = publication_named(session, None)
    sheet = Sheet(TEMPLATES, "zh", publication.time_zone)

    def page() -> str:
        found = report_of(session, mailing_id)
        beside = last_issues(session, publication, issues=9, live=found.live, up_to=found)
        shown = Page(publication.name, "", now, found, arrivals(session, mailing_id), beside)
        return render_page(shown, sheet)

    yield "report", lambda: report_of(session, mailing_id)
    yield "report, as a page,", page
    yield "report --deliverability", lambda: last_issues(session, publication, issues=8, live=False)
    yield (
        "report --growth",
        lambda: (growth_of(session, publication, weeks=8, now=now), health_of(session, publication, now=now)),
    )


def _accept(service: Service, calls: list[bytes]) -> tuple[float, list[float]]:
    waits: list[float] = []
    requests = [(body, signed(body)) for body in calls]
    drawing = threading.Lock()
    with listening("127.0.0.1", 0) as bound:
        server = uvicorn.Server(uvicorn.Config(create_app(service), lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/webhooks/sendgrid"

        def draw() -> tuple[bytes, dict[str, str]] | None:
            with drawing:
                return requests.pop() if requests else None

        def post() -> None:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            # Four threads draw from the same calls; a call is drawn once.
            for body, headers in iter(draw, None):
                begun = time.perf_counter()
                with opener.open(urllib.request.Request(url, body, headers)):
                    waits.append(time.perf_counter() - begun)

        posters = [threading.Thread(target=post) for _ in range(4)]
        took = _timed(lambda: [*map(threading.Thread.start, posters), *map(threading.Thread.join, posters)])
        server.should_exit = True
        thread.join()
    return took, waits


def _apply_all(service: Service) -> None:
    while apply_next(service.database, service.feedback_scene):
        pass


def _p99(waits: list[float]) -> float:
    """Give the wait that one in a hundred exceeds; of fewer the longest, since nothing is known beyond it."""
    return statistics.quantiles(waits, n=100, method="inclusive")[98] if len(waits) >= 100 else max(waits)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
