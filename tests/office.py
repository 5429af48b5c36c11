"""A store with one reader, and short words for tests that order notices and send what waits."""

from dataclasses import dataclass, field, replace
from itertools import count

from sqlalchemy import delete, update
from sqlmodel import Session

from newsletter.database import Database
from newsletter.notices.addressing import Gate
from newsletter.notices.dispatch import NoticeDesk, send_next
from newsletter.notices.letters import Stationery
from newsletter.outbox import CONFIRMING, FACTS, Notice, NoticeKind, NoticeOrder, enqueue
from newsletter.providers.memory import MemoryProvider
from newsletter.signing import LinkSigner
from subscribers.actors import READER
from subscribers.addresses import mask
from subscribers.consent import Evidence, Proof, record
from subscribers.consent_models import ConsentKind, OptIn, OptInKind
from subscribers.hashing import AddressHasher
from subscribers.models import Subscription, SubscriptionState, Suppression
from subscribers.roster import SubscriptionView, find_by_address, find_subscription
from subscribers.suppression import SuppressionOrder, add
from tests.mails import NOTICE_THEME
from tests.world import World, make_world


SITE = "https://n.example.com"
READER_ADDRESS = "wang.xiaoming@qq.example.com"
NEW_ADDRESS = "li.new@mail.example.org"
OLD_ADDRESS = "zhao.old@mail.example.net"
SIGNER = LinkSigner((b"a key of the tests",))
WORDS = {
    "plan": "专业版",
    "before": "免费版",
    "then": "免费版",
    "frequency": "每周一",
    "title": "第一期",
    "until": "2026-12-01",
    "upgrade_url": "https://pay.example.com/renew",
    "mailing_id": "7",
}
#: In which state of its subscription a kind is sent.
STATES = {
    NoticeKind.confirm: SubscriptionState.pending,
    NoticeKind.goodbye: SubscriptionState.left,
}


@dataclass
class Office:
    """A world with one reader, and the desk that sends notices in it."""

    world: World
    reader_id: int
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def provider(self) -> MemoryProvider:
        assert isinstance(self.world.provider, MemoryProvider)
        return self.world.provider

    @property
    def desk(self) -> NoticeDesk:
        """A desk of a worker on this side of NOT LIVE."""
        gate = Gate(self.world.hasher, self.world.allow_list)
        stationery = Stationery(NOTICE_THEME, SIGNER, SITE)
        world = self.world
        return NoticeDesk(world.database, world.provider, stationery, gate, world.live, 60.0, world.clock)

    @property
    def reader(self) -> SubscriptionView:
        with self.world.database.reading() as session:
            return find_subscription(session, self.reader_id)

    def state(self, state: SubscriptionState) -> None:
        """Put the reader into a state."""
        with self.world.database.writing() as session:
            session.execute(update(Subscription).values(state=state))

    def suppress(self, reason, *, address: str = READER_ADDRESS) -> None:
        """Suppress an address everywhere."""
        with self.world.database.writing() as session:
            add(session, SuppressionOrder(address, reason), hasher=self.world.hasher, by=READER, now=self.world.clock())

    def lift_all(self) -> None:
        """Lift every suppression."""
        with self.world.database.writing() as session:
            session.execute(delete(Suppression))

    def order(self, kind: NoticeKind, **changes: object) -> NoticeOrder:
        """Write an order of a kind to the reader, with a mailbox of its own each time."""
        with self.world.database.writing() as session:
            detail = {name: WORDS[name] for name in FACTS[kind] - {"event_id"}}
            if kind is NoticeKind.address_changed:
                detail["event_id"] = str(self._event(session))
            opt_in_id = self._opt_in(session, kind) if kind in CONFIRMING else None
        publication_id = self.world.publication.id
        bucket = f"bucket-{next(self._numbers)}"
        made = NoticeOrder(kind, publication_id, self.reader_id, self.world.live, bucket, opt_in_id, detail=detail)
        return replace(made, **changes)  # type: ignore[arg-type]  # names of its own fields

    def put(self, kind: NoticeKind, **changes: object) -> int:
        """Order a notice in the state of the reader in which it is sent, and give its id."""
        self.state(STATES.get(kind, SubscriptionState.confirmed))
        order = self.order(kind, **changes)
        with self.world.database.writing() as session:
            notice_id = enqueue(session, order, now=self.world.clock())
        assert notice_id is not None
        return notice_id

    def send(self) -> int:
        """Send until nothing may be claimed now; give how many notices were claimed."""
        sent = 0
        while send_next(self.desk):
            sent += 1
        return sent

    def notice(self, notice_id: int) -> Notice:
        with self.world.database.reading() as session:
            return session.get_one(Notice, notice_id)

    def change(self, table: str, row_id: int, values: str) -> None:
        """Change a row, as other parts of the service do in their own ways."""
        with self.world.database.writing() as session:
            session.connection().exec_driver_sql(f"UPDATE {table} SET {values} WHERE id = {row_id}")  # noqa: S608

    def _opt_in(self, session: Session, kind: NoticeKind) -> int:
        opt_in = OptIn(
            kind=OptInKind.subscribe if kind is NoticeKind.confirm else OptInKind.address,
            publication_id=self.world.publication.id,
            subscription_id=self.reader_id,
            plan_id=find_subscription(session, self.reader_id).plan_id,
            new_address="" if kind is NoticeKind.confirm else NEW_ADDRESS,
            created_at=self.world.clock(),
        )
        session.add(opt_in)
        session.flush()
        return opt_in.id

    def _event(self, session: Session) -> int:
        proof = Proof(ConsentKind.address_changed, evidence=Evidence(address_before=OLD_ADDRESS))
        view = find_subscription(session, self.reader_id)
        return record(session, view, proof, by=READER, now=self.world.clock())


def make_office(store: Database, hasher: AddressHasher | None = None) -> Office:
    """Make a publication with one reader."""
    world = make_world(store, MemoryProvider())
    world.hasher = hasher or world.hasher
    world.readers([READER_ADDRESS])
    with store.reading() as session:
        reader = find_by_address(session, world.publication.id, READER_ADDRESS)
    return Office(world, reader.id)


def addresses_of(kind: NoticeKind) -> tuple[str, str]:
    """Give where a kind goes, in full and masked."""
    going = {NoticeKind.confirm_address: NEW_ADDRESS, NoticeKind.address_changed: OLD_ADDRESS}.get(kind, READER_ADDRESS)
    return going, mask(going)
