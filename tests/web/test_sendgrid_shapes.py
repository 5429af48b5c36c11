"""Whole events of every shape that SendGrid was seen to post, by way of a signed call: each gives its row and outcome.

The shapes are those of its documentation and of recorded calls; where both disagree, as recorded.
"""

import pytest
from sqlmodel import select

from newsletter.alerts import Alert, AlertKind
from newsletter.feedback.models import DeliveryOutcome, EventCall, FeedbackEventRow, LinkClick
from newsletter.feedback.outcomes import MARKS, Outcome
from subscribers.roster import find_by_address
from subscribers.suppression import reasons_against
from tests.feedback.said import Feedback, as_body
from tests.web.sendgrid_calls import apply_all, post


#: Events that come late name no request, and carry nothing of ours.
ASYNCHRONOUS = {"sg_message_id": "", "smtp-id": None, "delivery": None, "attempt_id": None}
NO_MX = "unable to get mx info: failed to get IPs from PTR record: lookup <nil>: unrecognized address"
NOT_FOUND = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
PHONE = {"useragent": "Mozilla/5.0 (iPhone)", "ip": "255.255.255.255"}
SINGLE_SEND = {
    "mc_stats": "singlesend",
    "phase_id": "send",
    "send_at": "1763850000",
    "singlesend_id": "a8eb44d6",
    "singlesend_name": "N",
    "template_id": "9f2c",
}
DROPS = {
    "Invalid SMTPAPI header": ("", []),
    "Spam Content": ("", []),
    "Recipient List over Package Quota": ("", []),
    "Unsubscribed Address": ("unsubscribed", ["unsubscribed"]),
    "Bounced Address": ("hard_bounce", ["hard_bounce"]),
    "Spam Reporting Address": ("complaint", ["complaint"]),
    "Invalid": ("invalid", ["invalid"]),
    "Invalid Address": ("invalid", ["invalid"]),
}

#: By name: the event, and what comes of it: outcome, marks, the row's kind with its class or cause, and reasons.
SHAPES = {
    "processed with a pool": (
        {"event": "processed", "category": "news", "asm_group_id": 12, "pool": {"name": "mine", "id": 210}},
        ("processed", "", "", []),
    ),
    "deferred with a response and a string attempt": (
        {
            "event": "deferred",
            "category": ["news", "weekly"],
            "response": "400 try again later",
            "attempt": "5",
            "domain": "example.com",
            "from": "weekly@news.example.com",
        },
        ("deferred", "deferred_at", "", []),
    ),
    "deferred with a reason": (
        {"event": "deferred", "reason": "450 4.2.1 later", "attempt": 5},
        ("deferred", "deferred_at", "", []),
    ),
    "delivered": (
        {"event": "delivered", "category": ["news"], "response": "250 OK", "tls": 1, "ip": "255.255.255.255"},
        ("delivered", "", "", []),
    ),
    "delivered at a string time": ({"event": "delivered", "timestamp": "{at}"}, ("delivered", "", "", [])),
    "block without a status": (
        {
            "event": "bounce",
            "type": "blocked",
            "bounce_classification": "Unclassified",
            "tls": 0,
            "reason": NO_MX,
        },
        ("soft", "", "bounced soft", []),
    ),
    "bounce": (
        {
            "event": "bounce",
            "type": "bounce",
            "status": "5.1.1",
            "bounce_classification": "Invalid Address",
            "tls": 1,
            "cert_err": 0,
            "reason": "550 5.1.1 unknown user",
        },
        ("hard", "", "bounced hard", ["hard_bounce"]),
    ),
    "expired": (
        {"event": "bounce", "type": "expired", "bounce_classification": "Technical Failure", "reason": "timed out"},
        ("soft", "", "bounced soft", []),
    ),
    "asynchronous bounce": (
        {**ASYNCHRONOUS, "event": "bounce", "type": "bounce", "status": "5.1.10", "reason": NOT_FOUND},
        ("hard", "", "bounced hard", ["hard_bounce"]),
    ),
    "asynchronous bounce without any id": (
        {
            **ASYNCHRONOUS,
            "sg_message_id": None,
            "sg_event_id": None,
            "event": "bounce",
            "type": "bounce",
            "status": "5.1.1",
            "reason": NOT_FOUND,
        },
        ("hard", "", "bounced hard", ["hard_bounce"]),
    ),
    "unsubscribe without an event id": (
        {"event": "unsubscribe", "sg_event_id": None, "smtp-id": None, "category": "news"},
        ("left", "unsubscribed_at", "unsubscribed", []),
    ),
    "group unsubscribe": (
        {"event": "group_unsubscribe", "asm_group_id": 12, "url": "https://example.com", **PHONE},
        ("left", "unsubscribed_at", "unsubscribed", []),
    ),
    "group resubscribe": ({"event": "group_resubscribe", "asm_group_id": 12, **PHONE}, ("", "", "other", [])),
    "complaint": (
        {"event": "spamreport", "category": ["news"]},
        ("left", "complained_at", "complained", ["complaint"]),
    ),
    "open": (
        {"event": "open", "sg_machine_open": False, "sg_content_type": "html", **PHONE, **SINGLE_SEND},
        ("", "opened_at", "", []),
    ),
    "open by a machine": ({"event": "open", "sg_machine_open": True, **PHONE}, ("", "machine_opened_at", "", [])),
    "click with its place": (
        {
            "event": "click",
            "url": "https://example.com/a?who=1",
            "url_offset": {"index": 0, "type": "html"},
            "category": "news",
            **PHONE,
        },
        ("", "clicked_at", "", []),
    ),
    "click with a number for its place": (
        {"event": "click", "url": "https://example.com/a", "url_offset": 3, **PHONE},
        ("", "clicked_at", "", []),
    ),
    **{
        f"dropped, {reason}": (
            {"event": "dropped", "reason": reason, "status": "5.0.0"},
            ("dropped", "", f"dropped {cause}".strip(), reasons),
        )
        for reason, (cause, reasons) in DROPS.items()
    },
}
ACCOUNT = {"event": "account_status_change", "sg_event_id": "MjEx", "type": "compliance_suspend"}


def address_of(name):
    return f"{name.replace(' ', '-').replace(',', '')}@example.com"


@pytest.fixture
def feedback(site):
    made = Feedback(site.world)
    made.world.readers([address_of(name) for name in SHAPES])
    return made


def events(feedback):
    """Write an event of each shape as SendGrid would, about a mail to a reader of its own."""
    at = int(feedback.world.clock().timestamp())
    mails = feedback.of(feedback.mail())
    for number, (name, (said, _)) in enumerate(SHAPES.items()):
        whole = mails[address_of(name)] | {"timestamp": at, "sg_event_id": f"ZXZlbnQ{number}"} | said
        if whole["timestamp"] == "{at}":
            whole["timestamp"] = str(at)
        yield {key: value for key, value in whole.items() if value is not None}
    yield ACCOUNT | {"timestamp": at}


def became(world, name):
    """Tell what came of the event of a shape."""
    with world.database.reading() as session:
        reader = find_by_address(session, world.publication.id, address_of(name))
        delivery = next(one for one in world.deliveries(1) if one.subscriber_id == reader.subscriber_id)
        found = session.get(DeliveryOutcome, delivery.id)
        row = session.exec(select(FeedbackEventRow).where(FeedbackEventRow.delivery_id == delivery.id)).one_or_none()
        reasons = reasons_against(session, world.publication.id, address_of(name), hasher=world.hasher)
    outcome = Outcome(found.outcome).name if found.outcome else ""
    marks = " ".join(mark for mark in MARKS if getattr(found, mark))
    kept = f"{row.kind} {row.bounce_class or row.cause}".strip() if row else ""
    left = "left" if reader.state == "left" else ""
    return outcome or left, marks, kept, [str(one) for one in reasons]


def test_every_shape_gives_its_row_and_its_outcome(site, hook, feedback):
    assert post(hook, as_body(list(events(feedback)))).status_code == 200
    apply_all(site)
    assert {name: became(site.world, name) for name in SHAPES} == {name: ends for name, (_, ends) in SHAPES.items()}
    with site.world.database.reading() as session:
        (call,) = session.exec(select(EventCall))
        assert (call.events, call.problems, call.problem) == (len(SHAPES) + 1, 1, "")
        assert len(session.exec(select(LinkClick)).all()) == 2
        (row,) = session.exec(select(FeedbackEventRow).where(FeedbackEventRow.said == ACCOUNT["event"]))
        assert (row.text, row.delivery_id) == ("compliance_suspend", None)
        assert session.exec(select(Alert.kind).where(Alert.kind == AlertKind.account_changed)).all()


def test_a_call_that_is_replayed_has_no_second_effect(site, hook, feedback):
    body = as_body(list(events(feedback)))
    post(hook, body)
    apply_all(site)
    before = site.everything()
    site.clock.forward(7200)
    assert post(hook, body).status_code == 200
    apply_all(site)
    after = site.everything()
    # It was waiting for its line in the journal, which it has now; nothing joined it.
    assert (after.pop("journal_entry"), bool(before.pop("journal_entry"))) == ([], True)
    assert len(after.pop("event_call")) == len(before.pop("event_call")) + 1
    # When SendGrid was heard is true of the second time, too.
    assert after.pop("event_minute") != before.pop("event_minute")
    assert after == before
