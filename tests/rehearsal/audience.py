"""An audience with some of everyone a real list has, and every word of it that a rehearsal must not carry away."""

from datetime import timedelta

from sqlalchemy import delete, update
from sqlmodel import col, select

from newsletter.rehearsal.people import is_invented
from subscribers.actors import COMMAND_LINE
from subscribers.csv_rows import Row
from subscribers.importing import import_rows
from subscribers.judging import ImportTerms
from subscribers.leaving import leave_by_address
from subscribers.models import AddressHash, Subscriber, Subscription, SuppressionReason
from subscribers.suppression import SuppressionOrder, add
from tests.world import World


DOMAINS = ("qq.com", "163.com", "gmail.com", "139.com", "kaufhaus-oesterreich.example")
NAMES = ("欧阳娜娜", "", "Johann Gambolputty", "Zoë Ångström")
COUNT = 60


def address_of(number: int) -> str:
    return f"geheim.{number}@{DOMAINS[number % len(DOMAINS)]}"


def make_audience(world: World) -> None:
    """Import readers on two plans; some wait, left, paused, are suppressed, or have no hash."""
    for plan, numbers in (("free", range(40)), ("pro", range(40, COUNT))):
        terms = ImportTerms(world.publication.id, "test.csv", "test", plan, confirmed=True)
        rows = [Row(2 + one, address_of(one), NAMES[one % len(NAMES)]) for one in numbers]
        with world.database.writing() as session:
            import_rows(session, rows, terms, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())
    world.readers([f"wartet@{DOMAINS[0]}"], confirmed=False)
    with world.database.writing() as session:
        for number in (1, 2, 41):
            leave_by_address(session, world.publication.id, address_of(number), by=COMMAND_LINE, now=world.clock())
        for number in (3, 4):
            order = SuppressionOrder(address_of(number), SuppressionReason.complaint, origin="test")
            add(session, order, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())
        paused = select(Subscriber.id).where(col(Subscriber.email).in_([address_of(5), address_of(42)]))
        until = world.clock() + timedelta(days=3650)
        session.execute(
            update(Subscription).where(col(Subscription.subscriber_id).in_(paused)).values(paused_until=until)
        )
        unhashed = select(Subscriber.id).where(col(Subscriber.email) == address_of(6))
        session.execute(delete(AddressHash).where(col(AddressHash.subscriber_id).in_(unhashed)))


#: What the freeze says of this audience.
EXCLUSIONS = {"invalid_address": 1, "paused": 2, "pending": 1, "suppressed": 2, "unsubscribed": 3}


def secrets_of_the_audience() -> list[bytes]:
    """List every local part, domain and name, as bytes are written: plain, and escaped in JSON."""
    words = ["geheim.", "wartet@", *DOMAINS, *filter(None, NAMES)]
    return [form for word in words for form in (word.encode(), word.encode("unicode_escape"))]


def nobody_is_real(addresses: list[str]) -> bool:
    return all(map(is_invented, addresses))
