"""Alone: who decides or takes back consequences waits for whoever does so already. For every use case that writes them.

Decisions look at all that is known of an address: two at once would each miss what the other is about to write.
"""

import hashlib

from sqlalchemy import func
from sqlmodel import Session, select


_KEY = int.from_bytes(hashlib.sha256(b"newsletter feedback").digest()[:8], signed=True)


def alone(session: Session) -> None:
    """Let others who apply feedback wait until this transaction ends; on SQLite one writes at a time in any case."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_KEY)))
