"""Addresses: from what a person typed to the one form that is stored, compared and mailed. Pure, and no DNS ever.

The first step of every way in: sign-up, ``subscribers add``, import. After it come ``hashing`` and the stores.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from subscribers.errors import InvalidAddress


#: RFC 5321 §4.5.3.1 lets no path be longer than 256; more text than this is not read at all.
MAX_TYPED = 320

#: RFC 5321 §4.5.3.1.1, and the longest address that fits into a path of 256 with its angle brackets.
MAX_LOCAL, MAX_PLAIN = 64, 254
_PLAIN = re.compile(r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9.-]+)")

#: Full-width forms of ASCII (U+FF01 to U+FF5E), as Chinese and Japanese keyboards write them, among them ＠ and ．
#: Only these are folded, in the local part too: the rest of NFKC would turn letters into other people's addresses.
_FULL_WIDTH = {full: full - 0xFEE0 for full in range(0xFF01, 0xFF5F)}

#: What copying from pages, chats and spreadsheets leaves around an address.
_AROUND = " \t\r\n\f\v\u00a0\u3000\u200b\u2060\ufeff"

#: Mailboxes that belong to a function of a domain and to no reader: from RFC 2142 §4 and §5 those whose owners take
#: mail in bulk as an offence, and those that answer themselves. ``info`` or ``sales`` may well be readers.
_ROLES = frozenset(
    {
        "abuse",
        "hostmaster",
        "mailer-daemon",
        "noc",
        "no-reply",
        "noreply",
        "postmaster",
        "root",
        "security",
        "spam",
        "webmaster",
    }
)


#: Whatever could be read as one, by people or programs.
_ANY_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:=@]++@(?=[^\s<>()\[\]\"',;:=])")


def without_addresses(text: str) -> str:
    """Take the local part of every address out of a text that is kept where erasure does not reach."""
    return _ANY_ADDRESS.sub("…@", text)


@dataclass(frozen=True)
class Address:
    """One address.

    Attributes:
        typed: As the person wrote it, without what stood around it.
        email: The form that is mailed: ASCII, the domain in lower case, the local part as written.
        key: The identity: two addresses with the same key are the same reader. Dots and plus signs count.
        domain: The domain in ASCII and lower case.
    """

    typed: str
    email: str
    key: str
    domain: str


def parse_address(text: str) -> Address:
    """Read one address; reading ``.email`` again gives the same address.

    Raises:
        InvalidAddress: No mail can reach it; the sentence says why, without the address.
    """
    typed = text.strip(_AROUND)
    if not typed:
        raise InvalidAddress("there is no address; write it as name@example.com")
    if len(typed) > MAX_TYPED:
        raise InvalidAddress(f"the address is longer than {MAX_TYPED} characters; write it as name@example.com")
    email = _plain(typed) or _validated(typed)
    return Address(typed=typed, email=email, key=email.casefold(), domain=email.rpartition("@")[2])


def _plain(typed: str) -> str:
    """Give the form that is mailed of an address like nearly all: letters, digits and dots at a domain that is good.

    The validator takes long for each address, and a long list has few domains: it is asked for each domain once. What
    is not as plain as this is left to it altogether; a test holds the two against each other.
    """
    plain = _PLAIN.fullmatch(typed)
    if not plain or len(plain[1]) > MAX_LOCAL or len(typed) > MAX_PLAIN:
        return ""
    # The validator writes the names of mailboxes of a domain's own (RFC 2142) in lower case.
    if plain[1].lower() in CASE_INSENSITIVE_MAILBOX_NAMES or not (domain := _plain_domain(plain[2])):
        return ""
    return f"{plain[1]}@{domain}"


@lru_cache(maxsize=10_000)
def _plain_domain(domain: str) -> str:
    """Give a domain as it is mailed, or nothing where the validator has anything to say about it."""
    try:
        return "" if "xn--" in domain.casefold() else _validated(f"a@{domain}").rpartition("@")[2]
    except InvalidAddress:
        return ""


def _validated(typed: str) -> str:
    try:
        valid = validate_email(
            typed.translate(_FULL_WIDTH), check_deliverability=False, strict=True, allow_smtputf8=False
        )
    except EmailNotValidError as error:
        raise InvalidAddress(f"no mail can reach the address: {error}") from None
    return valid.ascii_email or valid.normalized


def canonical(address: Address) -> str:
    """Give the form in which spellings of one mailbox meet, for limits only: it is nobody's identity.

    What follows a plus sign is a label at most providers; dots count for nothing at Gmail.
    """
    local, _, domain = address.key.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in {"gmail.com", "googlemail.com"}:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def is_role(address: Address) -> bool:
    """Tell whether the mailbox belongs to a function of its domain, such as ``abuse@``, and to no reader."""
    return address.key.rpartition("@")[0] in _ROLES


def mask(email: str) -> str:
    """Show an address so that its owner recognises it and nobody else learns it: ``a***@q**.com``."""
    local, at, domain = email.rpartition("@")
    if not at or not local or not domain:
        return "***"
    top_level = domain.rpartition(".")[2]
    return f"{local[0]}***@{domain[0]}**.{top_level}"
