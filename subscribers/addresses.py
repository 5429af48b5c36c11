"""Addresses: from what a person typed to the one form that is stored, compared and mailed. Pure, and no DNS ever.

The first step of every way in: sign-up, ``subscribers add``, import. After it come ``hashing`` and the stores.
"""

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from subscribers.errors import InvalidAddress


#: RFC 5321 §4.5.3.1 lets no path be longer than 256; more text than this is not read at all.
MAX_TYPED = 320

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
    try:
        valid = validate_email(
            typed.translate(_FULL_WIDTH), check_deliverability=False, strict=True, allow_smtputf8=False
        )
    except EmailNotValidError as error:
        raise InvalidAddress(f"no mail can reach the address: {error}") from None
    email = valid.ascii_email or valid.normalized
    return Address(typed=typed, email=email, key=email.casefold(), domain=email.rpartition("@")[2])


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
