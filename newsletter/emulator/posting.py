"""Posting: events leave in batches, signed, until they are taken; as SendGrid does it, with its oddities on request.

A batch is what has come together in a time, or 768 kB. Any 2xx ends it; redirects are not followed; everything else is
tried again, later each time, for a day after the event. The clock can be told to run faster.
"""

import base64
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from newsletter.emulator.batches import Batch, batches_of, collected
from newsletter.emulator.errors import EmulatorError
from newsletter.emulator.events import as_body
from newsletter.emulator.feed import Feed


#: Seconds between two looks, and how long an answer may take.
_LOOK, _TIMEOUT = 0.05, 10.0
_AT_ONCE = 4
_PAGE = 4000
_FASTEST = 1_000_000.0
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 3600.0


@dataclass
class Clock:
    """The emulator's time; ``speed`` lets it run faster than the world's."""

    speed: float = 1.0
    _from: tuple[float, float] = field(default_factory=lambda: (time.time(), time.monotonic()))

    def __call__(self) -> float:
        """Give the time in seconds since 1970."""
        began, then = self._from
        return began + (time.monotonic() - then) * self.speed

    def run_at(self, speed: float) -> None:
        """Run so many times as fast from now on."""
        if not 0 < speed <= _FASTEST:
            raise EmulatorError(f"speed: {speed!r} is none; write a number above 0")
        self._from = (self(), time.monotonic())
        self.speed = speed


class SigningKey:
    """The key that calls are signed with, made once for a folder."""

    def __init__(self, folder: Path) -> None:
        file = folder / "event-webhook.pem"
        if not file.exists():
            made = ec.generate_private_key(ec.SECP256R1())
            file.touch(mode=0o600)
            file.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key = load_pem_private_key(file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise EmulatorError(f"{file} is no key of an elliptic curve: delete it")
        self._key = key

    @property
    def public(self) -> str:
        """The public key as SendGrid shows it."""
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def headers(self, body: bytes, moment: float) -> dict[str, str]:
        """Sign a body."""
        timestamp = str(int(moment))
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            "Content-Type": "application/json",
            "User-Agent": "SendGrid Event API",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }


@dataclass
class Poster:
    """Posts a feed's events while it runs."""

    feed: Feed
    key: SigningKey
    clock: Clock
    refused: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - repeatable by design

    def start(self) -> None:
        """Begin to post."""
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Post no more, and wait for the calls under way."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while not self._stop.is_set():
                batches = self.batches()
                list(pool.map(self._post, batches))
                if not batches:
                    self._stop.wait(_LOOK)

    def batches(self) -> list[Batch]:
        """Cut what is to be posted now into batches: nothing without a webhook, and nothing that is being collected."""
        if not self.feed.webhook["enabled"]:
            return []
        oddities = self.feed.oddities
        events = collected(self.feed.due(_PAGE), self.clock() - oddities.batch_seconds)
        return batches_of(events, oddities, self._chance)

    def _post(self, batch: Batch) -> None:
        if self._stop.is_set():
            return
        if self._taken(self.feed.webhook["url"], as_body(batch.bodies)):
            self.feed.posted([one.id for one in batch.events])
            return
        self.refused += 1
        self.feed.not_taken(batch.events, min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(batch.tries, 16)))

    def _taken(self, url: str, body: bytes) -> bool:
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    url,
                    data=body,
                    headers=self.key.headers(body, self.clock()),
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                )
            except requests.RequestException:
                return False
        return 200 <= answer.status_code < 300  # noqa: PLR2004 - any 2xx
