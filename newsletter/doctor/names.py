"""Looking up names in the DNS, each within a few seconds. The doctor's only door to it.

What does not exist is an empty answer; a server that does not answer, or cannot, is ``Unanswered``: the difference
between a record that is missing and a name server that is slow today.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import dns.exception
import dns.resolver

from newsletter.errors import Misconfigured, NewsletterError


#: Long enough for one retry, short enough for a page of questions.
LIFETIME = 5.0
PORT = 53


class Unanswered(NewsletterError):
    """A name could not be looked up."""


@dataclass(frozen=True)
class Names:
    """Answers questions about names.

    Attributes:
        resolver: Who is asked.
        lifetime: Seconds for one question, all its retries and servers included.
    """

    resolver: dns.resolver.Resolver
    lifetime: float = LIFETIME

    def texts(self, name: str) -> tuple[str, ...]:
        """Give the TXT records of a name, aliases followed, the pieces of each joined."""
        return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in self._records(name, "TXT"))

    def exchanges(self, name: str) -> tuple[str, ...]:
        """Give the hosts that take a domain's mail, without the dot at their end; a null MX is an empty string."""
        return tuple(record.exchange.to_text(omit_final_dot=True).strip(".") for record in self._records(name, "MX"))

    def has_address(self, name: str) -> bool:
        """Tell whether a name leads to any host."""
        return any(self._records(name, kind) for kind in ("A", "AAAA"))

    def _records(self, name: str, kind: str) -> tuple[Any, ...]:
        try:
            return tuple(self.resolver.resolve(name, kind, lifetime=self.lifetime, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.exception.DNSException as error:
            raise Unanswered(f"the {kind} records of {name} could not be looked up: {type(error).__name__}") from None


def open_names(server: str | None) -> Names:
    """Ask a name server by its IP address, such as ``1.1.1.1`` or ``127.0.0.1:5353``; without one the machine's own.

    Raises:
        Misconfigured: It is no such address, or the machine knows no name server.
    """
    if server is None:
        try:
            return Names(dns.resolver.Resolver())
        except dns.exception.DNSException:
            raise Misconfigured("this machine knows no name server: name one with --dns, such as 1.1.1.1") from None
    host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
    resolver = dns.resolver.Resolver(configure=False)
    try:
        # Whoever reads addresses knows which ports there are.
        resolver.port = urlsplit(f"//server:{port}").port or PORT
        resolver.nameservers = [host]
    except ValueError:
        raise Misconfigured(f"--dns {server!r} is no address of a name server: write 1.1.1.1 or 1.1.1.1:53") from None
    return Names(resolver)
