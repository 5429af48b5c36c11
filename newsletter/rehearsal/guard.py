"""The guard before the rehearsal's provider: a request that names anybody real never leaves the process."""

from dataclasses import dataclass

from newsletter.providers.base import CallEnd, Ending, Message, Provider
from newsletter.rehearsal.people import is_invented


@dataclass(frozen=True)
class InventedOnly:
    """Hands requests on whose every recipient is invented; one that is not halts the mailing."""

    provider: Provider

    @property
    def name(self) -> str:
        """The provider's name, for people."""
        return self.provider.name

    def submit(self, message: Message) -> CallEnd:
        """Submit a request to nobody real."""
        if all(is_invented(one.address) for one in message.recipients):
            return self.provider.submit(message)
        return CallEnd(Ending.unauthorised, detail="a recipient was not invented: nothing was submitted", made=False)
