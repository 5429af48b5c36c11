"""A mail as it arrived, saved to a file: its headers as they stand, its signatures, its parts. Pure.

Nothing is believed of its form: headers may come twice, hold bytes, or be cut; parts may be of no known charset.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses
from functools import cached_property

from newsletter.doctor.records import tags
from newsletter.errors import Refused


#: Larger than any mail that anybody receives.
LARGEST = 50_000_000
_COMMENT = re.compile(r"\([^()]*\)")
_METHOD = re.compile(r"(?:^|;)\s*(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Signature:
    """One DKIM-Signature header.

    Attributes:
        domain: Who signed (``d=``).
        selector: Which key (``s=``).
        covered: The names of the headers it covers (``h=``), in lower case, as often as they stand there.
    """

    domain: str
    selector: str
    covered: tuple[str, ...]

    def covers(self, *names: str) -> bool:
        """Tell whether every one of these headers is signed."""
        return all(name.lower() in self.covered for name in names)


@dataclass(frozen=True)
class SavedMail:
    """A raw mail.

    Args:
        raw: The file's bytes.

    Raises:
        Refused: It is no mail: no header stands in it, it is too large, or nested too deep.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) > LARGEST:
            raise Refused(f"the file has {len(self.raw):,} bytes: save a single mail")
        if not self.message.keys():
            raise Refused("the file holds no mail: save it as it arrived (Gmail: Show original › Download original)")

    @cached_property
    def message(self) -> Message:
        """The mail, read without believing its form."""
        try:
            return message_from_bytes(self.raw)
        except RecursionError:
            raise Refused("the mail is nested too deep to be read") from None

    def values(self, name: str) -> list[str]:
        """Give every header of a name, unfolded, in the order in which they stand."""
        return [" ".join(str(value).split()) for value in self.message.get_all(name, [])]

    @cached_property
    def signatures(self) -> tuple[Signature, ...]:
        """Every DKIM signature, topmost first; what cannot be read of one is empty."""
        read = [tags(value) for value in self.values("DKIM-Signature")]
        return tuple(
            Signature(one.get("d", "").lower(), one.get("s", ""), tuple(one.get("h", "").lower().split(":")))
            for one in read
        )

    @cached_property
    def sender_domains(self) -> tuple[str, ...]:
        """The domains of the addresses in From, as often as they stand there."""
        pairs = getaddresses(self.values("From"))
        return tuple(address.rpartition("@")[2].lower() for _, address in pairs if "@" in address)

    @cached_property
    def verdicts(self) -> dict[str, tuple[str, ...]]:
        """What the receiver's server found of spf, dkim and dmarc (RFC 8601), as often as it says so.

        Only the topmost Authentication-Results and those of the same server count: anybody may write others below.
        """
        values = self.values("Authentication-Results")
        server = values[0].split(";")[0].strip() if values else ""
        found: dict[str, tuple[str, ...]] = {}
        for value in values:
            if value.split(";")[0].strip() == server:
                for method, verdict in _METHOD.findall(_without_comments(value)):
                    found[method.lower()] = (*found.get(method.lower(), ()), verdict.lower())
        return found

    def parts(self) -> Iterator[Message]:
        """Go through the parts that hold no others, attached mails left out."""
        waiting = [self.message]
        while waiting:
            part = waiting.pop(0)
            inner = part.get_payload()
            if part.get_content_type() == "message/rfc822":
                continue
            if isinstance(inner, list):
                waiting.extend(one for one in inner if isinstance(one, Message))
            else:
                yield part

    def holds_another(self) -> bool:
        """Tell whether a whole mail is attached, as forwarding does."""
        return b"message/rfc822" in self.raw.lower()


def _without_comments(value: str) -> str:
    while (shorter := _COMMENT.sub("", value)) != value:
        value = shorter
    return value
