# ruff: noqa: E501 - a line of the policy is a line here
"""The policy of docs/feedback.md from the wire to its consequence: what each thing said leads to, and after how many issues."""

import shutil

import pytest
from sqlmodel import col, select

from newsletter.database import Database
from newsletter.feedback.consequences import Limits
from newsletter.feedback.models import FeedbackPolicy
from newsletter.providers.memory import MemoryProvider
from subscribers.models import Subscriber, Subscription, SubscriptionState
from subscribers.suppression import reasons_by_key
from tests.feedback.said import Feedback
from tests.world import make_world


#: After how many issues that end so, and what then holds the reader back.
GONE, SHUT, TIRED = (1, "hard_bounce"), (2, "hard_bounce"), (4, "soft_bounces")
COMPLAINED, LEFT, DENIED, INVALID = (1, "complaint left"), (1, "left"), (1, "unsubscribed"), (1, "invalid")
DROPPED_COMPLAINT = (1, "complaint")
OUR_FAULT = NOTHING = None


def bounce(reason="", status="", type_="bounce", classification=""):
    said = {"reason": reason, "status": status, "type": type_, "bounce_classification": classification}
    return {"event": "bounce"} | {name: value for name, value in said.items() if value}


def blocked(reason="", status="", classification=""):
    return bounce(reason, status, "blocked", classification)


def expired(reason, status=""):
    return bounce(reason, status, "expired")


def dropped(reason):
    return {"event": "dropped", "reason": reason, "status": "5.0.0"}


LINES = [
    # A complaint, and who leaves at SendGrid.
    ("a.example", {"event": "spamreport"}, COMPLAINED),
    ("a.example", {"event": "unsubscribe"}, LEFT),
    ("a.example", {"event": "group_unsubscribe", "asm_group_id": 1}, LEFT),
    ("a.example", {"event": "group_resubscribe", "asm_group_id": 1}, NOTHING),
    # Hard: one is enough.
    *(("a.example", bounce(status=code), GONE) for code in ("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")),
    ("a.example", bounce(classification="Invalid Address"), GONE),
    ("a.example", bounce(classification="INVALID ADDRESS", status="5.0.0"), GONE),
    ("gmail.com", bounce("550-5.1.1 The email account that you tried to reach does not exist."), GONE),
    ("outlook.com", bounce("550 5.5.0 Requested action not taken: mailbox unavailable", classification="Invalid Address"), GONE),
    ("a.example", bounce("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"), GONE),
    ("yahoo.com", bounce("554 delivery error: dd This user doesn't have a yahoo.com account"), GONE),
    ("qq.com", bounce("550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help"), GONE),
    ("foxmail.com", bounce("501 Bad address syntax."), GONE),
    ("163.com", bounce("550 User not found: reader@163.com"), GONE),
    ("a.example", bounce("550 User unknown"), GONE),
    # Disabled: two issues.
    ("a.example", bounce(status="5.2.1"), SHUT),
    ("a.example", bounce("550 mailbox unavailable", classification="Mailbox Unavailable"), SHUT),
    ("gmail.com", bounce("550 5.2.1 The email account that you tried to reach is disabled."), SHUT),
    ("126.com", bounce("550 User suspended"), SHUT),
    ("163.com", bounce("550 User locked"), SHUT),
    ("sina.com", bounce("550 user is locked"), SHUT),
    # Soft: four issues.
    ("a.example", blocked("452 4.2.2 over quota", "4.2.2"), TIRED),
    ("a.example", bounce("552 5.2.2 mailbox full", "5.2.2", classification="Mailbox Unavailable"), TIRED),
    ("a.example", bounce("552 user is over quota", classification="Mailbox Unavailable"), TIRED),
    ("a.example", expired("connection timed out"), TIRED),
    ("a.example", expired("450 4.1.1 Recipient address rejected: User unknown", "4.1.1"), TIRED),
    ("a.example", bounce(classification="Technical"), TIRED),
    ("a.example", bounce(classification="Technical Failure"), TIRED),
    ("a.example", bounce("something new", classification="Unclassified"), TIRED),
    ("a.example", blocked("unable to get mx info: failed to get IPs from PTR record", classification="Unclassified"), TIRED),
    ("qq.com", bounce("550 Mail is rejected by recipients"), TIRED),
    # Our fault: reputation, content, frequency, authentication, size.
    ("a.example", blocked(status="5.7.1"), OUR_FAULT),
    ("a.example", blocked(classification="Reputation"), OUR_FAULT),
    ("a.example", blocked(classification="content"), OUR_FAULT),
    ("a.example", blocked(classification="Frequency/Volume"), OUR_FAULT),
    ("a.example", blocked(classification="Frequency or Volume Too High"), OUR_FAULT),
    ("gmail.com", blocked("550 5.7.26 unauthenticated mail is prohibited", "5.0.0", "Unclassified"), OUR_FAULT),
    ("outlook.com", blocked("550 5.7.515 Access denied, sending domain does not meet"), OUR_FAULT),
    ("outlook.com", blocked("451 4.7.651 temporarily rate limited due to IP reputation"), OUR_FAULT),
    ("a.example", bounce(status="5.2.3"), OUR_FAULT),
    ("a.example", blocked("552 5.3.4 message too big", "5.3.4"), OUR_FAULT),
    ("qq.com", bounce("550 Mailbox unavailable or access denied", classification="Invalid Address"), OUR_FAULT),
    ("163.com", bounce("550 Mailbox unavailable or access denied", classification="Invalid Address"), OUR_FAULT),
    ("qq.com", bounce("550 Ip frequency limited.", classification="Invalid Address"), OUR_FAULT),
    ("qq.com", bounce("550 Suspected spam sender"), OUR_FAULT),
    ("qq.com", bounce("550 Mail content denied."), OUR_FAULT),
    ("qq.com", bounce("550 DMARC check failed"), OUR_FAULT),
    ("yeah.net", bounce("554 DT:SPM 163 mx12", classification="Invalid Address"), OUR_FAULT),
    ("163.com", blocked("451 MI:SFQ 163 mx3"), OUR_FAULT),
    ("163.com", blocked("421 HL:REP 163 mx7"), OUR_FAULT),
    ("sina.com", bounce("554 rbl deny"), OUR_FAULT),
    # What is no end, and what brings us level with SendGrid.
    ("a.example", {"event": "deferred", "response": "450 4.1.1 try later", "attempt": "5"}, NOTHING),
    ("a.example", {"event": "delivered", "response": "250 OK"}, NOTHING),
    ("a.example", dropped("Bounced Address"), GONE),
    ("a.example", dropped("spam reporting address"), DROPPED_COMPLAINT),
    ("a.example", dropped("Unsubscribed Address"), DENIED),
    ("a.example", dropped("Invalid"), INVALID),
    ("a.example", dropped("Invalid Address"), INVALID),
    ("a.example", dropped("Spam Content"), NOTHING),
    ("a.example", dropped("Invalid SMTPAPI header"), NOTHING),
    ("a.example", dropped("Recipient List over Package Quota"), NOTHING),
]  # fmt: skip
READERS = [f"r{number}@{domain}" for number, (domain, _, _) in enumerate(LINES)]


@pytest.fixture(scope="module")
def followed(blank_sqlite, tmp_path_factory):
    """Let four issues of every reader end as the reader's line says, and tell what followed first, and after how many."""
    database = Database(f"sqlite:///{shutil.copy(blank_sqlite, tmp_path_factory.mktemp('policy') / 'policy.db')}")
    feedback = Feedback(make_world(database, MemoryProvider()))
    feedback.world.readers(READERS)
    with database.writing() as session:
        # Each provider's readers bounce more than a surge allows.
        calm = vars(Limits(surge_bounces=10_000))
        session.add(FeedbackPolicy(publication_id=feedback.world.publication.id, **calm))
    mails = [feedback.of(feedback.mail()) for _ in range(4)]
    first: dict[str, tuple[int, str]] = {}
    for number, mail in enumerate(mails, start=1):
        lines = zip(READERS, LINES, strict=True)
        now = feedback.world.clock()
        feedback.say(*(feedback.event(mail[address], at=now, **said) for address, (_, said, _) in lines))
        for address, what in held_back(feedback).items():
            first.setdefault(address, (number, what))
    database.close()
    return first


def held_back(feedback):
    """Give what holds each reader back, who is."""
    world = feedback.world
    with world.database.reading() as session:
        found = reasons_by_key(session, world.publication.id, READERS, hasher=world.hasher)
        what = {address: " ".join(reasons) for address, reasons in found.items()}
        left = select(Subscriber.email).join(Subscription, col(Subscription.subscriber_id) == col(Subscriber.id))
        for address in session.exec(left.where(Subscription.state == SubscriptionState.left)):
            what[address] = f"{what.get(address, '')} left".strip()
    return what


@pytest.mark.parametrize(("address", "line"), list(zip(READERS, LINES, strict=True)))
def test_each_line_of_the_policy_has_its_consequence(followed, address, line):
    _, _, expected = line
    assert followed.get(address) == expected
