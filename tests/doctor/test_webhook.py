"""The way back: SendGrid's settings of the webhook, the key of its signatures, and the way in from outside."""

import datetime as dt
import ipaddress
import ssl
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from newsletter.publications import PublicationForm, set_publication
from tests.doctor.conftest import PUBLIC, WEBHOOK, WEBHOOK_KEY
from tests.scripted_server import scripted_server


SETTINGS = "/v3/user/webhooks/event/settings"


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"url": "https://old.example.org/hook"}, "problem", "https://old.example.org/hook, not to"),
        ({"url": ""}, "problem", "nobody"),
        ({"enabled": False}, "problem", "switched off"),
        ({"bounce": False, "processed": False}, "problem", "processed, bounce"),
        ({"group_resubscribe": False}, "warning", "group_resubscribe"),
        ({"open": True, "click": True}, "ok", "posts events to"),
    ],
)
def test_what_is_wrong_with_the_webhook_is_named(ward, change, status, said):
    ward.sendgrid.on(SETTINGS, WEBHOOK | change)
    assert ward.status("webhook") == status
    assert said in ward.says("webhook")


def test_opens_and_clicks_are_wanted_where_a_publication_counts_them(ward):
    assert ward.status("webhook") == "ok"
    with ward.world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(track_clicks=True))
    assert "warning: not posted: click;" in ward.says("webhook")


def test_ours_is_found_among_several_webhooks(ward):
    ward.sendgrid.on(SETTINGS, WEBHOOK | {"id": "w0", "url": "https://crm.example.org"})
    ward.sendgrid.on(f"{SETTINGS}/all", {"webhooks": [{"url": "https://x"}, WEBHOOK | {"id": "w1"}]})
    ward.sendgrid.on(f"{SETTINGS}/signed/w1", {"id": "w1", "public_key": WEBHOOK_KEY})
    assert ward.status("webhook") == "ok"
    assert ward.status("webhook-key") == "ok"


def test_the_key_of_signed_events_must_be_believed_here(ward):
    assert ward.status("webhook-key") == "ok"
    ward.patient = replace(ward.patient, webhook_keys=("another",))
    assert f"restart: {WEBHOOK_KEY}" in ward.says("webhook-key")
    ward.patient = replace(ward.patient, webhook_keys=())
    assert "no key is set in NEWSLETTER_SENDGRID_WEBHOOK_KEY" in ward.says("webhook-key")


def test_unsigned_events_are_a_problem(ward):
    ward.sendgrid.on(f"{SETTINGS}/signed", {"public_key": ""})
    assert "does not sign" in ward.says("webhook-key")


def test_not_live_events_belong_to_where_serve_listens(ward):
    ward.set(live=False, port=8123)
    assert "not to http://127.0.0.1:8123/webhooks/sendgrid" in ward.says("webhook")
    ward.set(port=0)
    assert ward.status("webhook") == "skipped"


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """A certificate for localhost that this process's client believes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "localhost.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + built.public_bytes(Encoding.PEM)
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_the_service_is_reached_over_https_where_readers_reach_it(ward, tls):
    with scripted_server(tls) as outside:
        ward.set(public_url=outside.url)
        outside.on("/healthz", {"status": "ok", "live": True})
        outside.on("/webhooks/sendgrid", {"detail": "Method Not Allowed"}, 405)
        assert ward.status("reachable") == "ok"
        outside.on("/webhooks/sendgrid", b"<html>not here</html>", 404)
        assert "/webhooks/sendgrid answers 404" in ward.says("reachable")
        outside.on("/healthz", {"status": "ok", "live": False})
        assert "is NOT LIVE" in ward.says("reachable")
        assert "expected as long as you only ask before going live" in ward.says("reachable")
        for body, status in ((b"<html>", 200), (None, 301), ([], 200)):
            outside.on("/healthz", body, status, Location="https://elsewhere.example.org")
            assert "not as this service does" in ward.says("reachable")


def test_a_certificate_that_nobody_believes_is_not_reached(ward, tls, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with scripted_server(tls) as outside:
        ward.set(public_url=outside.url)
        assert "does not answer: SSLError" in ward.says("reachable")


def test_not_live_nobody_calls_from_outside(ward):
    ward.set(live=False, public_url=PUBLIC)
    assert ward.status("reachable") == "skipped"
