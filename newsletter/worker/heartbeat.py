"""The heartbeat: a watch address hears each minute of a machine that would mail what is due now.

What it says is its silence. So it is silent where the clock hangs, fails or is not believed, where the disk is full and
where the store is held: a copy of the store must not answer for the machine that is dead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import requests
import structlog

from newsletter.database import Database
from newsletter.hosts import store_may_mail
from newsletter.worker.vigil import steady_seconds


log = structlog.get_logger(__name__)

#: Seconds between two beats.
BEAT_SECONDS = 60.0
#: Ticks in whose time the last one must have ended; a minute in any case, since one may have much to do.
_TICKS = 3
_TIMEOUT = 10.0


@dataclass
class Heartbeat:
    """What is known of the ticks, and whom it is said to.

    Attributes:
        url: The address that is fetched, which is a secret; empty: nobody is told.
        live: Whether a proxy of the environment may be used; NOT LIVE only this machine is called.
        tick_seconds: How often the clock ticks.
        steady: A clock that nobody sets, in seconds.
    """

    url: str
    live: bool
    tick_seconds: float
    steady: Callable[[], float] = steady_seconds
    _ticked: float | None = None

    def ticked(self) -> None:
        """Note that a tick has come to its end, and that mailings could begin in it."""
        self._ticked = self.steady()

    def beat(self, database: Database) -> None:
        """Say that this machine would mail, where it would; it is never in anybody's way.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The store does not answer.
        """
        if not self.url:
            return
        if why := self._silence(database):
            log.warning("no heartbeat", why=why)
        else:
            self._say()

    def _silence(self, database: Database) -> str:
        """Say what keeps this machine from mailing; empty where nothing does."""
        allowed = max(BEAT_SECONDS, _TICKS * self.tick_seconds)
        if self._ticked is None or self.steady() - self._ticked > allowed:
            return "no tick has lately come to its end with a clock that is believed and room on the disk"
        with database.reading() as session:
            return "" if store_may_mail(session) else "the store is held"

    def _say(self) -> None:
        with requests.Session() as session:
            session.trust_env = self.live
            try:
                answer = session.get(self.url, timeout=_TIMEOUT, allow_redirects=False)
            except requests.RequestException as error:
                # Its text holds the address.
                log.warning("the heartbeat was not heard", error=type(error).__name__)
                return
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            log.warning("the heartbeat was not heard", status=answer.status_code)
