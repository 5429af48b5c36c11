"""SpamAssassin's own rules on the complete mail, as the service handed it to the provider. No network."""

import os
import re
import subprocess
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest

from newsletter.issues.document import decode
from newsletter.outbox import NoticeKind
from newsletter.providers.memory import MemoryProvider
from tests.mails import SAMPLE_ISSUE
from tests.office import make_office
from tests.referees.mails import as_sent
from tests.referees.tools import command
from tests.world import addresses, make_world


#: Spam begins at 5.0; a mail of ours stays far below.
LIMIT = 1.0


@pytest.fixture
def judged(tmp_path):
    """Let SpamAssassin judge a mail: its score, and the rules that were hit."""
    program = command("spamassassin")

    def judge(mail: bytes) -> tuple[float, str]:
        # A home of its own: what the machine's user allowed or taught it says nothing about our mail.
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        run = subprocess.run([program, "-L", "-t"], input=mail, capture_output=True, env=environment, check=True)
        status = re.sub(r",\s+", ",", str(message_from_bytes(run.stdout, policy=default)["X-Spam-Status"]))
        found = re.search(r"score=(-?[\d.]+) .*tests=(\S+)", status)
        assert found, status
        return float(found[1]), found[2].replace(",", ", ")

    return judge


@pytest.fixture
def sent(sqlite_store):
    """Send an issue to a reader through the whole service, and give the mail."""

    def send(source: str) -> bytes:
        provider = MemoryProvider()
        world = make_world(sqlite_store, provider)
        world.readers(addresses(1))
        world.schedule(world.issue(source))
        world.begin()
        world.dispatch()
        return as_sent(provider.accepted[0])

    return send


@pytest.mark.parametrize("which", ["weekly", "sample"])
def test_the_mail_is_far_from_being_taken_for_spam(judged, sent, weekly_issue, which):
    issue = {"weekly": weekly_issue, "sample": SAMPLE_ISSUE}[which]
    score, rules = judged(sent(decode(issue.read_bytes())))
    assert score < LIMIT, f"score {score}: {rules}"


@pytest.mark.parametrize(
    ("kind", "locale"),
    [
        (NoticeKind.confirm, "zh-CN"),
        (NoticeKind.confirm, "en"),
        (NoticeKind.welcome, "zh-CN"),
        (NoticeKind.sign_in, "en"),
        (NoticeKind.renewal, "en"),
    ],
)
def test_a_notice_is_far_from_being_taken_for_spam(judged, sqlite_store, kind, locale):
    office = make_office(sqlite_store)
    office.put(kind, locale=locale)
    office.send()
    score, rules = judged(as_sent(office.provider.accepted[0]))
    assert score < LIMIT, f"score {score}: {rules}"


def test_the_mail_is_complete_as_a_provider_sends_it(sent, weekly_issue):
    """What is judged must be the mail that readers get: no header broken, both parts in UTF-8, text first."""
    raw = sent(decode(weekly_issue.read_bytes()))
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert {part.get_content_charset() for part in mail.iter_parts()} == {"utf-8"}
    assert {part["Content-Transfer-Encoding"] for part in mail.iter_parts()} == {"quoted-printable"}
    assert b"\r\nList-Unsubscribe: <https://" in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    wanted = {"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Id", "MIME-Version"}
    assert wanted <= set(mail.keys())
    assert raw.count(b"=?utf-8?") > 2
    assert max(map(len, re.findall(rb"=\?utf-8\?\S+", raw))) <= 75
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_a_mail_that_is_one_image_is_found_out(judged):
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = "a@news.example.com", "b@example.com", "WIN BIG NOW"
    mail["Date"], mail["Message-ID"] = "Mon, 23 Nov 2026 01:00:01 +0000", "<1@news.example.com>"
    mail.set_content('<html><body><img src="https://news.example.com/a.png"></body></html>', subtype="html")
    score, rules = judged(mail.as_bytes())
    assert score >= LIMIT, f"score {score}: {rules}"
    assert "MIME_HTML_ONLY" in rules
