"""The throttle of the forms that mail somebody: how often they may be sent from one place, or for one domain.

In front of ``signing_up``. It lives in the memory of a process: what one mailbox gets at most is counted in the
database, by the outbox, and holds across processes and restarts.
"""

import ipaddress
from dataclasses import dataclass, field

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from newsletter.delivery.mailbox_providers import OTHER, mailbox_provider


#: A family or an office signs up from one address; a program does not stop at that.
PER_PLACE = (RateLimitItemPerMinute(5), RateLimitItemPerHour(30))
#: Of a domain of their own, in an hour: a company that hears of the newsletter, not the flooding of its mail server.
PER_OWN_DOMAIN = RateLimitItemPerHour(60)
#: The large providers do not notice, but the sign-ups of a working day have an end, too.
PER_PROVIDER_DOMAIN = RateLimitItemPerHour(2000)


class FullMailbox(Exception):
    """The mailbox gets no more mails that strangers can cause for now: nothing of the request is kept."""


@dataclass(frozen=True)
class Throttle:
    """Counts what is sent, in moving windows."""

    _windows: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))

    def lets_in(self, ip: str, domain: str) -> bool:
        """Count one form from an IP address for a mail domain; tell whether it may be acted on."""
        own = mailbox_provider(domain) == OTHER
        of_domain: RateLimitItem = PER_OWN_DOMAIN if own else PER_PROVIDER_DOMAIN
        of_place = [(limit, "place", _place(ip)) for limit in PER_PLACE if ip]
        # Whoever sends too much from one place uses up nothing of the domain's.
        return all(self._windows.hit(limit, *names) for limit, *names in (*of_place, (of_domain, "domain", domain)))


def _place(ip: str) -> str:
    """Give the network that one customer has: with IPv6 every device of theirs has billions of addresses."""
    address = ipaddress.ip_address(ip)
    return ip if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))  # noqa: PLR2004
