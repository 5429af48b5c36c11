"""Saved mails as they arrive: real DKIM signatures, real look-ups, and files that are no mail."""

import base64
from contextlib import suppress
from dataclasses import dataclass

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as some

from newsletter.doctor.mail import CHECKS, Arrival, examine_mail
from newsletter.doctor.names import open_names
from newsletter.doctor.results import run
from newsletter.doctor.saved_mail import SavedMail
from newsletter.errors import Refused
from tests.name_server import name_server


UNSUBSCRIBE = "<https://news.example.org/u/abcdefghijklmnopqrstuv>, <mailto:leave@example.org?subject=unsubscribe:x>"
VERDICTS = """mx.google.example;
       dkim=pass header.i=@news.example.org header.s=s1 header.b=abc;
       dkim=pass header.i=@sendgrid.info header.s=smtpapi;
       spf=pass (google.example: domain of b@em12.news.example.org designates 192.0.2.1 (ok) as permitted)
       smtp.mailfrom=b@em12.news.example.org;
       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=news.example.org"""
LINES = {
    "Received": "from o1.example.net by mx.google.example; Mon, 23 Nov 2026 01:00:00 +0000",
    "Authentication-Results": VERDICTS,
    "From": '"My Weekly" <weekly@news.example.org>',
    "To": "reader@gmail.example",
    "Reply-To": "editor@example.org",
    "Subject": "Issue 1",
    "Date": "Mon, 23 Nov 2026 01:00:00 +0000",
    "Message-ID": "<kA5kcHA8SVGtVh5S9rAUew@geopod-ismtpd-1>",
    "MIME-Version": "1.0",
    "List-Unsubscribe": UNSUBSCRIBE,
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "Content-Type": "text/html; charset=utf-8",
    "Content-Transfer-Encoding": "8bit",
}
SIGNED = ("from", "to", "subject", "date", "list-unsubscribe", "list-unsubscribe-post")
STAMPED_ON_ARRIVAL = ("Received", "Authentication-Results")


@dataclass
class Post:
    """A signer whose key is in a zone, and words for saving mails and looking at them."""

    private: bytes
    server: str

    def mail(self, *more: str, body: str = "<p>Hello, 读者</p>", signed=SIGNED, domain="news.example.org", **changes):
        """Write a mail as it arrives; underscores in names stand for hyphens, ``None`` leaves a header out."""
        said = {name.replace("_", "-"): value for name, value in changes.items()}
        lines = {name: said.get(name, value) for name, value in LINES.items()}
        sent = [f"{name}: {value}" for name, value in lines.items() if value and name not in STAMPED_ON_ARRIVAL]
        stamped = [f"{name}: {lines[name]}" for name in STAMPED_ON_ARRIVAL if lines[name]]
        raw = "\r\n".join([*sent, *more, "", body, ""]).replace("\r\n", "\n").replace("\n", "\r\n").encode()
        top = "".join(line.replace("\n", "\r\n") + "\r\n" for line in stamped).encode()
        return top + (self.signature(raw, signed, domain) if signed else b"") + raw

    def signature(self, raw: bytes, signed, domain) -> bytes:
        names = [name.encode() for name in signed]
        return bytes(dkim.sign(raw, b"s1", domain.encode(), self.private, include_headers=names))

    def status(self, raw: bytes, check: str) -> str:
        said = [str(one.status) for one in self.look(raw, check)]
        return min(said, key=["problem", "warning", "skipped", "ok"].index)

    def says(self, raw: bytes, check: str) -> str:
        return " | ".join(f"{one.status}: {one.seen}" for one in self.look(raw, check))

    def look(self, raw: bytes, check: str):
        return run({check: CHECKS[check]}, Arrival(SavedMail(raw), open_names(self.server)))


@pytest.fixture(scope="module")
def post():
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with name_server() as server:
        server.on("s1._domainkey.news.example.org", "TXT", f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}")
        server.failing.add("s1._domainkey.broken.example.org")
        yield Post(private, server.address)


def test_nothing_is_wrong_with_a_mail_as_it_should_be(post):
    results = examine_mail(post.mail(), open_names(post.server))
    assert [(one.check, one.seen) for one in results if one.status != "ok"] == []
    assert {one.check for one in results} == set(CHECKS)


def test_offline_the_signature_alone_is_skipped(post):
    results = examine_mail(post.mail(), None)
    assert [one.check for one in results if one.status != "ok"] == ["dkim-signature"]


def test_unix_line_ends_do_no_harm(post):
    assert {one.status for one in examine_mail(post.mail().replace(b"\r\n", b"\n"), open_names(post.server))} == {"ok"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"List_Unsubscribe": None}, "there is no List-Unsubscribe"),
        ({"List_Unsubscribe_Post": None}, "there is no List-Unsubscribe-Post"),
        ({"List_Unsubscribe": "<mailto:leave@example.org>"}, "0 https addresses"),
        ({"List_Unsubscribe": "<https://a.example/1>, <https://a.example/2>"}, "2 https addresses"),
        ({"List_Unsubscribe": "=?utf-8?q?=3Chttps=3A//a=2Eexample=3E?="}, "encoded words"),
        ({"List_Unsubscribe_Post": "List-Unsubscribe=OneClick"}, "does not say"),
    ],
)
def test_one_click_is_held_to_its_rfc(post, changes, said):
    raw = post.mail(**changes)
    assert post.status(raw, "one-click") == "problem"
    assert said in post.says(raw, "one-click")


def test_sendgrids_own_header_beside_ours_is_found_with_its_cause(post):
    raw = post.mail("List-Unsubscribe: <mailto:unsubscribe@em12.news.example.org>")
    found = post.look(raw, "one-click")
    assert "2 List-Unsubscribe" in found[0].seen
    assert "Subscription Tracking" in found[0].todo


def test_a_signature_that_leaves_the_post_header_out_offers_no_button(post):
    raw = post.mail(signed=[name for name in SIGNED if name != "list-unsubscribe-post"])
    assert "no signature covers List-Unsubscribe-Post" in post.says(raw, "dkim-coverage")
    # The signature itself holds all the same.
    assert post.status(raw, "dkim-signature") == "ok"


def test_an_unsigned_mail_is_a_problem(post):
    raw = post.mail(signed=())
    assert post.status(raw, "dkim-coverage") == "problem"
    assert post.status(raw, "dkim-signature") == "skipped"
    assert "nobody signed" in post.says(raw, "alignment")


def test_a_changed_mail_does_not_hold(post):
    raw = post.mail()
    assert "does not hold" in post.says(raw.replace(b"Hello", b"Hallo"), "dkim-signature")
    assert "does not hold" in post.says(raw.replace(b"Issue 1", b"Issue 2"), "dkim-signature")


def test_a_key_that_cannot_be_asked_for_is_no_forgery(post):
    assert post.status(post.mail(domain="broken.example.org"), "dkim-signature") == "skipped"


def test_a_key_that_is_not_there_is_told(post):
    assert "does not hold" in post.says(post.mail(domain="keyless.example.org"), "dkim-signature")


def test_who_signed_must_be_who_writes(post):
    assert post.status(post.mail(From="weekly@deep.news.example.org"), "alignment") == "ok"
    assert "From is example.net" in post.says(post.mail(From="weekly@example.net"), "alignment")
    assert "From holds 2" in post.says(post.mail(From="a@news.example.org, b@news.example.org"), "alignment")


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (VERDICTS.replace("dmarc=pass", "dmarc=fail"), "problem: dmarc=fail"),
        (VERDICTS.replace("spf=pass", "spf=softfail"), "problem: spf=softfail"),
        (VERDICTS.replace("dkim=pass header.i=@news", "dkim=fail header.i=@news"), "ok: dkim=pass"),
        ("mx.google.example; spf=pass", "warning: the receiver's server says nothing of dkim"),
        ("mx.google.example; none (dmarc=pass; dkim=pass)", "says nothing"),
        (None, "says nothing"),
    ],
)
def test_what_the_receivers_server_found_is_read(post, verdicts, said):
    assert said in post.says(post.mail(Authentication_Results=verdicts), "verdicts")


def test_verdicts_of_other_servers_are_not_believed(post):
    raw = post.mail("Authentication-Results: evil.example; dmarc=pass", Authentication_Results="mx.example; dmarc=fail")
    assert "dmarc=fail" in post.says(raw, "verdicts")
    assert "pass" not in post.says(raw, "verdicts")


@pytest.mark.parametrize(
    ("changes", "more", "said"),
    [
        ({"Message_ID": None}, (), "no Message-ID"),
        ({"Message_ID": "12345"}, (), "not of the form"),
        ({"Date": "yesterday"}, (), "Date cannot be read"),
        ({}, ("Subject: Issue 2",), "more than once: Subject"),
    ],
)
def test_headers_are_there_and_once(post, changes, more, said):
    assert said in post.says(post.mail(*more, signed=(), **changes), "headers")


def test_size_and_charset_are_what_gmail_clips_by(post):
    assert post.status(post.mail(body="<p>" + "字" * 30_000), "size") == "warning"
    assert "Gmail clips at about 102,400" in post.says(post.mail(body="<p>" + "x" * 110_000), "size")
    latin = post.mail(Content_Type="text/html; charset=iso-8859-1")
    assert "came as iso-8859-1" in post.says(latin, "size")
    assert "no HTML part" in post.says(post.mail(Content_Type="text/plain"), "size")
    assert post.status(post.mail(Content_Type="text/html; charset=martian"), "size") == "problem"


def test_a_forward_is_told_from_the_mail_itself(post):
    inner = post.mail().decode()
    raw = (
        "From: friend@example.com\nSubject: Fwd\nContent-Type: multipart/mixed; boundary=x\n\n"
        f"--x\nContent-Type: message/rfc822\n\n{inner}\n--x--\n"
    ).encode()
    assert "this is a forward" in post.says(raw, "file")
    assert "it did not travel" in post.says(b"From: a@example.com\n\nhello", "file")


@pytest.mark.parametrize("raw", [b"", b"%PDF-1.7\n\x00\xff", b"\x00" * 1000, b"<html>hello</html>"])
def test_what_is_no_mail_is_refused(raw):
    with pytest.raises(Refused, match="holds no mail"):
        examine_mail(raw, None)


MIXED = b"Content-Type: multipart/mixed; boundary=a\n\n"
BROKEN = {
    "nested": b"".join(MIXED.replace(b"=a", b"=b%d" % depth) + b"--b%d\n" % depth for depth in range(3000)),
    "one boundary for all": MIXED + (b"--a\n" + MIXED) * 3000,
    "attached mails": b"Content-Type: message/rfc822\n\n" * 3000 + b"a: b\n\n",
    "bytes in headers": "From: \xff\xfe <a@é>\nDKIM-Signature: \xff=\xfe; h=\xfd\nDate: \xff\n\n".encode("latin-1"),
    "no end": MIXED + b'--a\nContent-Type: text/html; charset="\n\n\xff\xfe=E',
    "comments": b"Authentication-Results: a; " + b"(" * 5000 + b")" * 5000 + b" dkim=pass\n\n",
    "many signatures": b"DKIM-Signature: v=1; a=rsa-sha256; d=a; s=b; h=from; bh=x; b=y\n" * 200 + b"\nhello",
    "broken base64": b"Content-Type: text/html\nContent-Transfer-Encoding: base64\n\n!!!!=\n",
    "escape": b"From: a@\x1b[31mb\nDKIM-Signature: d=\x1b]0;x\x07; h=from\n\n",
}
TOO_DEEP = ["nested", "attached mails"]


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in TOO_DEEP])
def test_broken_mails_are_looked_at_all_the_same(post, name):
    results = examine_mail(BROKEN[name], open_names(post.server))
    assert {one.check for one in results} == set(CHECKS)
    assert all(one.seen.isprintable() and one.todo.isprintable() for one in results)


@pytest.mark.parametrize("name", TOO_DEEP)
def test_mails_that_are_nested_too_deep_are_refused(name):
    with pytest.raises(Refused, match="nested too deep"):
        examine_mail(BROKEN[name], None)


@settings(max_examples=150, deadline=None)
@given(some.data())
def test_no_mail_brings_the_doctor_down(data):
    broken = BROKEN["bytes in headers"].splitlines(keepends=True)
    pieces = [*broken, *(f"{name}: {value}\n".encode() for name, value in LINES.items())]
    drawn = data.draw(some.lists(some.sampled_from(pieces) | some.binary(max_size=40), max_size=20))
    with suppress(Refused):
        examine_mail(b"".join(drawn), None)
