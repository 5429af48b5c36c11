"""A small world for tests of delivery: a publication with readers and an issue, on a store, with a clock by hand."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from sqlmodel import Session, col, select

from newsletter.database import Database
from newsletter.delivery.accounts import Account, account_of, batch_states
from newsletter.delivery.audience import CHUNK, FreezeTerms, freeze
from newsletter.delivery.claims import Claimant
from newsletter.delivery.dispatch import Desk, dispatch_next
from newsletter.delivery.lifecycle import BatchState
from newsletter.delivery.mailings import begin_due, find_mailing
from newsletter.delivery.models import Delivery, Mailing
from newsletter.delivery.policies import set_policy
from newsletter.delivery.requests import Letterhead
from newsletter.delivery.scheduling import Order, schedule
from newsletter.delivery.variants import Workshop
from newsletter.issues.shelf import Placing, add_source
from newsletter.journal.segments import Journal
from newsletter.providers.base import Provider
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import Publication, PublicationForm, add_publication
from newsletter.rendering.themes import Theme, load_theme
from newsletter.signing import LinkSigner
from subscribers.actors import COMMAND_LINE
from subscribers.csv_rows import Row
from subscribers.filters import EVERYBODY, Filter
from subscribers.hashing import AddressHasher
from subscribers.importing import import_rows, in_chunks
from subscribers.judging import ImportTerms
from subscribers.plans import NewPlan, add_plan


TEMPLATES = Path(__file__).parent.parent / "templates"
LINK_KEY = "a link key of the tests"
SIGNER = LinkSigner((LINK_KEY.encode(),))
ISSUE = """测试周报：第一期--由测试生成

## 🧪 一节

| 事件 | 要点 | 影响 |
|:---|:---|:---|
| [甲事](/News/1) | 一句话说明甲事的来龙去脉，足够长以至于要用卡片 | 影响说明 |

**结论：**本周平稳。
"""


@dataclass
class HandClock:
    """A clock that moves when it is told to."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 1, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class World:
    """Everything a mailing needs, and short words for what tests do again and again."""

    database: Database
    publication: Publication
    workshop: Workshop
    provider: Provider
    clock: HandClock = field(default_factory=HandClock)
    hasher: AddressHasher = field(default_factory=lambda: AddressHasher(b"sixteen bytes or more"))
    allow_list: tuple[str, ...] = ()
    batch_size: int = 1000
    chunk: int = CHUNK
    live: bool = False
    #: Where each call is written down before it is made.
    journal: Journal | None = None

    @property
    def desk(self) -> Desk:
        """A desk of a worker on this side of NOT LIVE."""
        letterhead = Letterhead("https://n.example.com", SIGNER, self.allow_list)
        claimant = Claimant("test", self.live, 60.0)
        return Desk(self.database, self.provider, claimant, letterhead, self.clock, self.journal)

    @property
    def terms(self) -> FreezeTerms:
        """What this installation adds to a freeze."""
        return FreezeTerms(self.workshop, self.allow_list, self.batch_size, self.chunk)

    def readers(self, addresses: list[str], *, plan: str = "free", confirmed: bool = True) -> None:
        """Import readers."""
        terms = ImportTerms(self.publication.id, "test.csv", "test", plan, confirmed=confirmed)
        rows = (Row(number, address) for number, address in enumerate(addresses, start=2))
        for chunk in in_chunks(rows):
            with self.database.writing() as session:
                import_rows(session, chunk, terms, hasher=self.hasher, by=COMMAND_LINE, now=self.clock())

    def issue(self, source: str = ISSUE, *, revises: int | None = None) -> int:
        """Put an issue on the shelf and give its id."""
        with self.database.writing() as session:
            placing = Placing(revises=revises)
            shelved = add_source(
                session, self.publication.id, source.encode(), placing, by=COMMAND_LINE, now=self.clock()
            )
        return shelved.issue.id

    def schedule(self, issue_id: int, *, again: bool = False, live: bool = False, audience: Filter = EVERYBODY) -> int:
        """Schedule a mailing for now and give its id."""
        order = Order(issue_id, self.clock(), again=again, live=live, audience=audience)
        with self.database.writing() as session:
            mailing = schedule(session, order, self.workshop, by=COMMAND_LINE, now=self.clock())
        return mailing.id

    def begin(self) -> list[int]:
        """Tick once: begin what is due, and freeze it."""
        with self.database.writing() as session:
            begun = begin_due(session, live=self.live, now=self.clock())
        for mailing_id in begun:
            freeze(self.database, mailing_id, self.terms, clock=self.clock)
        return begun

    def running(self, *, again: bool = False) -> int:
        """Put an issue on the shelf, schedule it and begin it; give the mailing's id."""
        mailing_id = self.schedule(self.issue(), again=again)
        assert self.begin() == [mailing_id]
        return mailing_id

    def dispatch(self) -> int:
        """Dispatch until nothing may be claimed now; give how many batches were claimed."""
        count = 0
        while dispatch_next(self.desk):
            count += 1
        return count

    def mailing(self, mailing_id: int) -> Mailing:
        """Read a mailing."""
        with self.database.reading() as session:
            return find_mailing(session, mailing_id)

    def account(self, mailing_id: int) -> Account:
        """Read a mailing's account, which must balance at every moment."""
        with self.database.reading() as session:
            account = account_of(session, find_mailing(session, mailing_id))
        assert account.balances, account
        return account

    def states(self, mailing_id: int) -> dict[BatchState, int]:
        """Count a mailing's batches by state."""
        with self.database.reading() as session:
            return batch_states(session, mailing_id)

    def deliveries(self, mailing_id: int) -> list[Delivery]:
        """Read a mailing's deliveries."""
        with self.database.reading() as session:
            found = select(Delivery).where(Delivery.mailing_id == mailing_id).order_by(col(Delivery.id))
            return list(session.exec(found))

    def reached(self) -> list[str]:
        """List the addresses that the memory provider accepted, in order of address."""
        assert isinstance(self.provider, MemoryProvider)
        return sorted(self.provider.reached())

    def having(self, **changes: object) -> "World":
        """The same world with something else about the installation."""
        return replace(self, **changes)  # type: ignore[arg-type]  # names of our own fields


def make_world(database: Database, provider: Provider, code: str = "weekly") -> World:
    """Make a publication with the plans free and pro (which includes free), and no readers yet."""
    clock = HandClock()
    form = PublicationForm(
        name="测试刊",
        sender="weekly@news.example.com",
        reply_to="editor@news.example.com",
        site_url="https://news.example.com",
        postal_address="示例市示例路 1 号",
    )
    with database.writing() as session:
        publication = add_publication(session, code, form, now=clock())
        _plans(session, publication.id)
        # Tests that are about the time to undo set it themselves.
        set_policy(session, publication.id, {"undo_minutes": 0}, by=COMMAND_LINE, now=clock())
    return World(database, publication, Workshop(_shipped_theme()), provider, clock)


@cache
def _shipped_theme() -> Theme:
    """Load our theme once: that takes longer than all else that a world is made of."""
    return load_theme(TEMPLATES)


def _plans(session: Session, publication_id: int) -> None:
    add_plan(session, NewPlan(publication_id, "free"))
    add_plan(session, NewPlan(publication_id, "pro", includes=("free",)))


def addresses(count: int, *, start: int = 0) -> list[str]:
    """Invent addresses."""
    return [f"r{number:05}@example.com" for number in range(start, start + count)]
