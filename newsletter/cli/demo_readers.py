"""The demo's invented readers: two plans, and some of everyone a real list has. Reserved domains only (RFC 2606)."""

import csv
import io
from collections.abc import Iterator

from sqlmodel import Session

from newsletter.cli.importing import import_stream
from newsletter.composition import Service
from newsletter.delivery.policies import set_policy
from newsletter.publications import Publication, PublicationForm, add_publication
from subscribers.actors import COMMAND_LINE
from subscribers.judging import ImportTerms
from subscribers.leaving import leave_by_address
from subscribers.models import SuppressionReason
from subscribers.plans import NewPlan, add_plan
from subscribers.suppression import SuppressionOrder
from subscribers.suppression import add as suppress


CONSENT = "invented for the demo"
_DOMAINS = ("example.com", "example.org", "example.net")
_SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡"
_GIVEN = ("子涵", "思远", "晓雨", "嘉宁", "梓萱", "一诺", "明哲", "雨桐", "书瑶", "浩然", "若曦")
#: What people type when they sign up; the import names each in its account.
_BAD_ADDRESSES = ("reader@@example.com", "no-at-sign.example.com", "two words@example.org", "x@localhost")


def make_publication(service: Service) -> Publication:
    """Make the demo's publication with its plans free and pro."""
    form = PublicationForm(
        name="每周动向",
        sender="weekly@news.example.com",
        reply_to="editor@news.example.com",
        site_url="https://news.example.com",
        postal_address="示例市示例路 1 号",
        time_zone="Asia/Shanghai",
        locale="zh-CN",
    )
    with service.database.writing() as session:
        publication = add_publication(session, "weekly", form, now=service.clock())
        add_plan(session, NewPlan(publication.id, "free", "免费"))
        add_plan(session, NewPlan(publication.id, "pro", "专业", ("free",)))
        # Who looks at a demo does not wait for the time in which a mailing can be undone.
        set_policy(session, publication.id, {"undo_minutes": 0}, by=COMMAND_LINE, now=service.clock())
    return publication


def make_readers(service: Service, publication: Publication, count: int) -> dict[str, int]:
    """Import readers and let some be pending, gone or suppressed; give the outcomes of the import's rows."""
    outcomes: dict[str, int] = {}
    pending = max(1, count // 50)
    for rows, confirmed in ((range(pending), False), (range(pending, count), True)):
        terms = ImportTerms(publication.id, "demo.csv", CONSENT, confirmed=confirmed)
        bad = _BAD_ADDRESSES if confirmed else ()
        for account in import_stream(service, _csv(rows, bad), terms):
            outcomes[account.outcome] = outcomes.get(account.outcome, 0) + 1
    with service.database.writing() as session:
        _let_some_go(session, service, publication, range(pending, min(count, 3 * pending)))
    return outcomes


def address_of(number: int) -> str:
    """Give the address of the demo's n-th reader."""
    return f"reader-{number:06}@{_DOMAINS[number % len(_DOMAINS)]}"


def _csv(numbers: range, bad_addresses: tuple[str, ...]) -> io.BytesIO:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("email", "name", "plan"))
    writer.writerows(_rows(numbers))
    writer.writerows((address, "", "free") for address in bad_addresses)
    return io.BytesIO(text.getvalue().encode())


def _rows(numbers: range) -> Iterator[tuple[str, str, str]]:
    for number in numbers:
        # Some people give no name: the mail must read well for them too.
        name = _SURNAMES[number % len(_SURNAMES)] + _GIVEN[number % len(_GIVEN)] if number % 7 else ""
        yield address_of(number), name, "pro" if number % 4 == 0 else "free"


def _let_some_go(session: Session, service: Service, publication: Publication, numbers: range) -> None:
    for number in numbers:
        if number % 2:
            leave_by_address(session, publication.id, address_of(number), by=COMMAND_LINE, now=service.clock())
        else:
            order = SuppressionOrder(address_of(number), SuppressionReason.complaint, origin="demo")
            suppress(session, order, hasher=service.hasher, by=COMMAND_LINE, now=service.clock())
