"""How much of a reader's connection a proof of consent keeps. Pure; for the sign-up pages and for ``importing``."""

import ipaddress
from enum import StrEnum


#: An IPv4 address without its last byte, an IPv6 one without what tells devices and flats apart: as truncated by
#: the analytics programs that data protection authorities have looked at.
_TRUNCATED_TO = {4: 24, 6: 48}


class ClientEvidence(StrEnum):
    """How much of a reader's connection the proof of consent keeps."""

    full = "full"
    truncated = "truncated"
    off = "off"

    def ip(self, text: str) -> str:
        """Give what is kept of an IP address: nothing of what is none."""
        try:
            address = ipaddress.ip_address(text.strip())
        except ValueError:
            return ""
        if self is ClientEvidence.off:
            return ""
        if self is ClientEvidence.full:
            return str(address)
        return str(ipaddress.ip_network((address, _TRUNCATED_TO[address.version]), strict=False).network_address)
