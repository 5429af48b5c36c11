"""A healthy installation to make ill: a publication with readers, an account and a zone as they should be."""

import base64
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from newsletter.composition import Service
from newsletter.database import Database
from newsletter.doctor.examination import CHECKS
from newsletter.doctor.installation import Inquiry, Installation
from newsletter.doctor.names import open_names
from newsletter.doctor.results import Result, run
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, set_publication
from newsletter.settings import Settings
from tests.name_server import NameServer, name_server
from tests.scripted_server import ScriptedServer, scripted_server
from tests.world import LINK_KEY, World, make_world


KEY = "SG.the-key-of-the-test"
SENDER = "weekly@news.example.org"
PUBLIC = "https://news.example.org"
WEBHOOK_KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE-not-a-real-one"
SCOPES = [
    "mail.send",
    "user.credits.read",
    "user.webhooks.event.settings.read",
    "whitelabel.read",
    "suppression.read",
    "suppression.delete",
]
WEBHOOK = {
    "enabled": True,
    "url": f"{PUBLIC}/webhooks/sendgrid",
    **dict.fromkeys(("processed", "delivered", "bounce", "deferred", "dropped", "spam_report", "unsubscribe"), True),
    "group_unsubscribe": True,
    "group_resubscribe": True,
    "open": False,
    "click": False,
}
DOMAIN = {
    "id": 1,
    "domain": "news.example.org",
    "subdomain": "em12",
    "default": True,
    "valid": True,
    "dns": {
        "mail_cname": {"valid": True, "type": "cname", "host": "em12.news.example.org", "data": "u1.wl.sendgrid.net"},
        "dkim1": {"valid": True, "type": "cname", "host": "s1._domainkey.news.example.org", "data": "s1.sendgrid.net"},
        "dkim2": {"valid": True, "type": "cname", "host": "s2._domainkey.news.example.org", "data": "s2.sendgrid.net"},
    },
}


def dkim_record(bits: int = 2048) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    return f"k=rsa; p={base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()}"


@pytest.fixture(scope="session")
def good_key() -> str:
    return dkim_record()


@dataclass
class Ward:
    """An installation under examination, and everything around it that can be made ill."""

    world: World
    sendgrid: ScriptedServer
    names: NameServer
    folder: Path
    patient: Installation

    def examine(self, check: str) -> tuple[Result, ...]:
        """Make one check."""
        return run({check: CHECKS[check]}, self.patient)

    def status(self, check: str) -> str:
        """Give the worst that one check says."""
        return min((one.status for one in self.examine(check)), key=["problem", "warning", "skipped", "ok"].index)

    def says(self, check: str) -> str:
        """Give everything that one check says."""
        return " | ".join(f"{one.status}: {one.seen} → {one.todo}" for one in self.examine(check))

    def set(self, **settings: object) -> None:
        """Change settings."""
        self.patient = replace(self.patient, settings=self.patient.settings.model_copy(update=settings))

    def forget(self) -> None:
        """Ask SendGrid anew, as another call of the command does."""
        assert self.patient.inquiry is not None
        self.patient = replace(self.patient, inquiry=replace(self.patient.inquiry, _heard={}))


@pytest.fixture
def account():
    """SendGrid with an account as it should be."""
    with scripted_server() as server:
        server.on("/v3/scopes", {"scopes": SCOPES})
        server.on("/v3/user/credits", {"remain": 500, "total": 500, "overage": 0, "next_reset": "2026-12-01"})
        server.on("/v3/user/webhooks/event/settings", WEBHOOK)
        server.on("/v3/user/webhooks/event/settings/signed", {"id": "w1", "public_key": WEBHOOK_KEY})
        server.on("/v3/whitelabel/domains", [DOMAIN])
        yield server


@pytest.fixture
def zone(good_key):
    """Names as they should be."""
    with name_server() as server:
        server.on("em12.news.example.org", "CNAME", "u1.wl.sendgrid.net.")
        server.on("u1.wl.sendgrid.net", "TXT", "v=spf1 ip4:192.0.2.1 -all", "google-site-verification=1")
        for selector in ("s1", "s2"):
            server.on(f"{selector}._domainkey.news.example.org", "CNAME", f"{selector}.sendgrid.net.")
            server.on(f"{selector}.sendgrid.net", "TXT", good_key)
        server.on("_dmarc.news.example.org", "TXT", "v=DMARC1; p=none; rua=mailto:dmarc@example.org")
        server.on("news.example.org", "MX", "10 mx.example.org.")
        server.on("example.org", "MX", "10 mx.example.org.")
        yield server


def admit(store: Database, account: ScriptedServer, zone: NameServer, folder: Path) -> Ward:
    """Make a live installation with nothing wrong, on a store."""
    world = make_world(store, MemoryProvider())
    with store.writing() as session:
        set_publication(session, "weekly", PublicationForm(sender=SENDER, reply_to="editor@example.org"))
    world.readers([f"r{number}@mail.example.com" for number in range(3)])
    folder.mkdir(mode=0o700)
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        live=True,
        public_url=PUBLIC,
        sendgrid_api_key=KEY,
        sendgrid_url=account.url,
        address_pepper=SecretStr(world.hasher.peppers[0].decode()),
        link_key=SecretStr(LINK_KEY),
        alert_hooks=SecretStr("https://hooks.example.org/#whsec_" + "a" * 40),
        heartbeat_url=SecretStr("https://watch.example.org/weekly"),
    )
    service = Service(settings)
    inquiry = Inquiry(service.account_api(), service.clock, local=False)
    patient = Installation(
        settings,
        store,
        lambda: world.hasher,
        lambda: service.signer,
        service.clock,
        inquiry,
        open_names(zone.address),
        (WEBHOOK_KEY,),
    )
    return Ward(world, account, zone, folder, patient)


@pytest.fixture
def ward(sqlite_store, account, zone, tmp_path):
    """A live installation with nothing wrong."""
    return admit(sqlite_store, account, zone, tmp_path / "data")
