"""Calls as SendGrid makes them: signed over their time and their raw bytes."""

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.ingest import apply_next


OLD, NEW, FOREIGN = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
BODY = b'[{"email":"a@example.com","event":"processed","sg_event_id":"x","timestamp":1763860000}]\r\n'


def shown(key):
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def signed(body, key=NEW, timestamp="1763860000"):
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }


def apply_all(site):
    """Apply what was kept, as the worker does."""
    scene = Scene(site.world.hasher, PROVIDER, site.clock())
    while apply_next(site.world.database, scene):
        pass


def post(hook, body=BODY, headers=None):
    return hook.post("/webhooks/sendgrid", content=body, headers=signed(body) if headers is None else headers)
