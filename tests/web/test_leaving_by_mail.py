"""Leaving by mail: what SendGrid's Inbound Parse posts of a mail to the leaving mailbox, and what it does."""

import base64
from collections.abc import Callable
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.web.inbound import READ_LIMIT, _fields
from subscribers.consent import consent_of
from subscribers.models import SubscriptionState
from tests.world import addresses


DONE, NOTHING = "unsubscribed\n", "nothing to unsubscribe\n"


def parsed(**fields: str | bytes) -> dict[str, object]:
    """Write a call as Inbound Parse does where it takes mails apart: fields of a form, one of them the text."""
    common = {
        "headers": "Received: by mx.example.com\nSubject: x\n",
        "to": "leave@news.example.com",
        "from": "Anna <anna@example.com>",
        "envelope": '{"to":["leave@news.example.com"],"from":"anna@example.com"}',
        "charsets": '{"to":"UTF-8","subject":"UTF-8","from":"UTF-8","text":"gb18030"}',
        "SPF": "pass",
        "attachments": "0",
    }
    return {name: (None, value) for name, value in (common | fields).items()}


def written(subject: str, text: str = "") -> bytes:
    """Write a mail as it travels, which Inbound Parse posts whole where it is told to."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "anna@example.com", "leave@news.example.com", subject
    mail.set_content(text, charset="utf-8", cte="base64")
    return mail.as_bytes()


@pytest.fixture
def leaver(site):
    return site.reader()


def post(site, **fields):
    answer = site.browser.post("/webhooks/inbound", files=parsed(**fields))
    assert answer.status_code == 200
    return answer.text


WAYS: dict[str, Callable[[str], dict[str, str | bytes]]] = {
    "as the header says": lambda one: {"subject": f"unsubscribe:{one}"},
    "with a space": lambda one: {"subject": f"unsubscribe {one}"},
    "answered": lambda one: {"subject": f"Re: [List] unsubscribe:{one} (was: 周刊)"},
    "forwarded": lambda one: {"subject": "退订", "text": f"> 退订 https://n.example.com/u/{one}\n"},
    "forwarded as html": lambda one: {"subject": "", "html": f'<a href="https://n.example.com/u/{one}">x</a>'},
    "in another charset": lambda one: {"subject": "退订".encode("gb18030"), "text": f"退订 /u/{one}".encode("gb18030")},
    "whole": lambda one: {"email": written(f"unsubscribe:{one}")},
    "whole, encoded": lambda one: {"email": written(f"退订 unsubscribe:{one}")},
    "whole, forwarded": lambda one: {"email": written("Fwd: 周刊", f"https://n.example.com/u/{one}")},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_mail_unsubscribes_who_it_names_and_nobody_else(site, leaver, way):
    for _ in range(2):
        assert post(site, **WAYS[way](leaver.unsubscribe_id)) == DONE
    with site.world.database.reading() as session:
        left = [event for event in consent_of(session, leaver.id) if event.kind == "left"]
    assert [(event.source, str(event.by)) for event in left] == [("mailto", "reader")]
    assert site.reader_state(leaver.id) is SubscriptionState.left
    assert site.reader_state(site.reader(addresses(2)[1]).id) is SubscriptionState.confirmed
    assert site.notices() == []


def test_the_header_of_an_issue_tells_mail_programs_the_way_where_there_is_a_mailbox(site, leaver):
    with site.world.database.writing() as session:
        session.merge(site.world.publication).leave_mailbox = "leave@news.example.com"
    site.world.running()
    site.world.dispatch()
    mails = [one for message in site.world.provider.accepted for one in message.recipients]
    header = next(one.headers["List-Unsubscribe"] for one in mails if one.address == leaver.email)
    https, mailto = header.split(", ")
    assert https.endswith(f"/u/{leaver.unsubscribe_id}>")
    address, subject = mailto.strip("<>").removeprefix("mailto:").split("?subject=")
    assert address == "leave@news.example.com"
    assert post(site, subject=subject) == DONE
    assert site.reader_state(leaver.id) is SubscriptionState.left


def test_a_mail_sent_by_mistake_is_taken_back_like_any_departure_of_ones_own(site, leaver):
    post(site, subject=f"unsubscribe:{leaver.unsubscribe_id}")
    site.browser.post(f"/u/{leaver.unsubscribe_id}", data={"from": "page", "do": "undo"})
    assert site.reader_state(leaver.id) is SubscriptionState.confirmed


def test_the_subject_outranks_what_is_quoted(site, leaver):
    other = site.reader(addresses(2)[1])
    assert post(site, subject=f"unsubscribe:{leaver.unsubscribe_id}", text=f"/u/{other.unsubscribe_id}") == DONE
    assert site.reader_state(other.id) is SubscriptionState.confirmed


def test_a_mail_that_names_nobody_or_several_changes_nothing_and_is_not_sent_again(site, leaver):
    other, before = site.reader(addresses(2)[1]), site.everything()
    both = f"/u/{leaver.unsubscribe_id} /u/{other.unsubscribe_id}"
    flipped = leaver.unsubscribe_id.swapcase()
    for fields in (
        {"subject": "please stop"},
        {"subject": f"unsubscribe:{flipped}"},
        {"subject": f"x{leaver.unsubscribe_id}"},
        {"subject": "", "text": both},
        {"subject": both},
        {"email": b"\xff\xfe"},
    ):
        assert post(site, **fields) == NOTHING
    for content, kind in ((b"", ""), (b"[]", "application/json"), (b"--x", "multipart/form-data; boundary=x")):
        answer = site.browser.post("/webhooks/inbound", content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.text) == (200, NOTHING)
    assert site.everything() == before


def test_large_attachments_are_read_past(site, leaver):
    files = parsed(subject=f"unsubscribe:{leaver.unsubscribe_id}")
    files["attachment1"] = ("photo.jpg", base64.b64encode(bytes(3 * READ_LIMIT // 2)), "image/jpeg")
    assert site.browser.post("/webhooks/inbound", files=files).text == DONE
    assert site.reader_state(leaver.id) is SubscriptionState.left


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_it(content):
    assert isinstance(_fields(b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n" + content), dict)


@pytest.mark.parametrize(
    "text",
    [" " * 900_000, "\n" + ">" * 900_000, "= " * 450_000, "=?a?q?" * 150_000, " \n" * 450_000],
    ids=["blanks", "quotes", "soft ends", "encoded words", "lines"],
)
def test_whatever_a_stranger_fills_a_mail_with_is_read_in_no_time(site, leaver, text):
    # With a step for each pair of characters this would take hours; the suite's own time limit is the bound.
    for field in ("subject", "text", "email"):
        assert post(site, **{field: text}) == NOTHING
    assert post(site, subject=f"unsubscribe:{leaver.unsubscribe_id}") == DONE


def test_parts_in_parts_in_parts_are_no_trouble(site, leaver):
    deep = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (level, level) for level in range(3000)
    )
    assert post(site, email=deep) == NOTHING
    link = f"https://n.example.com/u/{leaver.unsubscribe_id}".encode()
    assert post(site, email=deep + b"\r\n" + link) == DONE
    answer = site.browser.post(
        "/webhooks/inbound", content=deep, headers={"content-type": "multipart/mixed; boundary=0"}
    )
    assert answer.text == NOTHING
