"""A person of whom everything is held that can be: a row in every table that names people."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from newsletter.delivery.models import Exclusion
from newsletter.outbox import NoticeKind, NoticeOrder, enqueue
from subscribers.actors import COMMAND_LINE, READER
from subscribers.addresses import canonical, parse_address
from subscribers.consent import Evidence, Proof, record
from subscribers.consent_models import ConsentKind
from subscribers.consent_texts import ShownText, keep_text
from subscribers.models import Attribute, AttributeKind, AttributeValue, SubscriptionTag, SuppressionReason
from subscribers.new_address import ask_for_address, confirm_address
from subscribers.opt_in import Click, FormProof, SignUp, confirm, sign_up
from subscribers.roster import SubscriptionView, find_subscription
from subscribers.suppression import SuppressionOrder, add
from tests.world import World


TYPED = "Wang.XiaoMing@QQ.example.com"
EMAIL = "Wang.XiaoMing@qq.example.com"
NAME = "王小明明"
IP = "198.51.100.77"
AGENT = "Mozilla/5.0 (a browser of the tests)"
TAG = "met-in-hangzhou"
VALUE = "engineer"
WORDS = ShownText("zh-CN", "我同意每周收到《测试刊》。\n我可以随时退订。", "https://news.example.com/privacy", "3")


@dataclass(frozen=True)
class Known:
    """The person's subscription, and the address as typed, mailed and compared."""

    subscription_id: int
    notice_id: int


def sign_up_known(world: World, typed: str = TYPED, name: str = NAME) -> Known:
    """Sign a person up by the form and confirm, with tags, attributes, and a notice that waits."""
    evidence = Evidence(typed, ip=IP, user_agent=AGENT)
    with world.database.writing() as session:
        now, publication = world.clock(), world.publication
        text_id = keep_text(session, publication.id, WORDS, now=now)
        proof = FormProof("https://news.example.com/sign-up/weekly", text_id, "每周一", evidence)
        wish = SignUp(publication.id, parse_address(typed), proof, name=name, locale="zh-CN")
        asked = sign_up(session, wish, hasher=world.hasher, by=READER, now=now)
        assert asked.opt_in_id is not None
        click = Click(asked.opt_in_id, Evidence(ip=IP, user_agent=AGENT))
        view = confirm(session, click, hasher=world.hasher, by=READER, now=now).subscription
        assert view is not None
        sent = {"notice": "1", "message_id": "a-message-id", "text_sha256": "ab" * 32}
        record(session, view, Proof(ConsentKind.confirm_sent, "confirm", sent), by=COMMAND_LINE, now=now)
        _describe(session, view)
        notice_id = _order_notice(session, world, view)
    return Known(view.id, notice_id)


def _describe(session: Session, view: SubscriptionView) -> None:
    attribute = Attribute(publication_id=view.publication_id, code="work", kind=AttributeKind.text)
    session.add(attribute)
    session.flush()
    session.add(SubscriptionTag(subscription_id=view.id, tag=TAG))
    session.add(AttributeValue(subscription_id=view.id, attribute_id=attribute.id, text=VALUE))


def _order_notice(session: Session, world: World, view: SubscriptionView) -> int:
    facts: Mapping[str, str] = {"plan": "free", "frequency": "每周一"}
    bucket = world.hasher.hash(canonical(parse_address(view.email)))
    order = NoticeOrder(NoticeKind.welcome, view.publication_id, view.id, world.live, bucket, detail=facts)
    notice_id = enqueue(session, order, now=world.clock())
    assert notice_id is not None
    return notice_id


def leave_out_of(world: World, known: Known, mailing_id: int) -> None:
    """Record that a mailing left the person out."""
    with world.database.writing() as session:
        session.add(Exclusion(mailing_id=mailing_id, subscription_id=known.subscription_id, reason="paused"))


def suppress(world: World, address: str, reason: SuppressionReason) -> None:
    """Suppress an address everywhere."""
    with world.database.writing() as session:
        add(session, SuppressionOrder(address, reason), hasher=world.hasher, by=COMMAND_LINE, now=world.clock())


def move(world: World, known: Known, typed: str, *, clicks: bool = True) -> None:
    """Have the person ask for another address, and its owner confirm it, or not."""
    with world.database.writing() as session:
        now = world.clock()
        reader = find_subscription(session, known.subscription_id)
        address = parse_address(typed)
        evidence = Evidence(typed, ip=IP)
        asked = ask_for_address(session, reader, address, evidence, hasher=world.hasher, by=READER, now=now)
        if clicks:
            assert asked.opt_in_id is not None
            confirm_address(session, Click(asked.opt_in_id), hasher=world.hasher, by=READER, now=now)
