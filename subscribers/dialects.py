"""Dialects: whose export a file is, and what its rows say of a person there. Pure; between ``columns``, ``csv_rows``.

Known are Mailchimp's audience export (files of subscribed, unsubscribed, cleaned and non-subscribed contacts),
listmonk's subscriber export, SendGrid's suppressions, and our own. Any other file is a plain list, of readers by the
operator's word. In doubt a file is taken for an export: that keeps people out who left, and no reader who stays.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from subscribers.columns import folded
from subscribers.names import clean_name


class There(StrEnum):
    """What an address is at the service that a file comes from; only a reader may become one here."""

    reader = "reader"
    pending = "pending"
    unsubscribed = "unsubscribed"
    bounced = "bounced"
    complained = "complained"
    blocked = "blocked"
    invalid = "invalid"
    refused = "refused"
    lapsed = "lapsed"
    never_asked = "never_asked"


@dataclass(frozen=True)
class Dialect:
    """How one service writes its exports.

    Attributes:
        service: Its name, as people know it.
        signs: Sets of columns, each of which only its files have, as ``folded`` writes them. Each is small: people
            throw columns away before they import a file.
        file_names: How it names its files, where the name alone tells whose they are.
        columns: What it calls the columns that we read beside everybody's.
        proofs: Which of them prove when somebody subscribed, by the words of our consent ledger.
        addresses: Which of them hold the IP address of who subscribed, the best first.
        judge: What a row of it says of a person, from these columns and the name of the file.
        caution: What its files do not say, for the operator.
    """

    service: str
    signs: tuple[frozenset[str], ...]
    columns: Mapping[str, frozenset[str]]
    proofs: Mapping[str, str]
    addresses: tuple[str, ...]
    judge: Callable[[Mapping[str, str], str], There]
    file_names: re.Pattern[str] | None = None
    caution: str = ""

    def wrote(self, columns: AbstractSet[str], file_name: str) -> bool:
        """Tell whether a file is one of this service's."""
        named = self.file_names is not None and self.file_names.match(file_name.casefold()) is not None
        return named or any(signs <= columns for signs in self.signs)

    def proof(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Give what a row proves of consent, without anything that could be an address."""
        found = {word: clean_name(cells.get(column, ""))[:40] for word, column in self.proofs.items()}
        return {"service": self.service} | {word: text for word, text in found.items() if text and "@" not in text}

    def ip(self, cells: Mapping[str, str]) -> str:
        """Give the IP address from which somebody subscribed there, as the file says."""
        return next((cells[column] for column in self.addresses if cells.get(column)), "")


#: What lists call the column that says who has left, as ``folded`` writes it: read as a plain list, such a file would
#: bring them all back.
_SAYS_WHO_LEFT = frozenset(
    {
        *("state", "status", "subscribed", "unsubscribed", "unsubscribedat", "optout", "optin", "subscriptionstatus"),
        *(
            "subscriptionstate",
            "active",
            "emailstatus",
            "bounced",
            "状态",
            "订阅状态",
            "退订",
            "是否退订",
            "退订时间",
            "是否订阅",
        ),
    }
)


def undecidable(columns: Sequence[str]) -> str:
    """Name the column of a plain list that seems to say who is no reader any more; empty where there is none."""
    return next((column for column in columns if folded(column) in _SAYS_WHO_LEFT), "")


def recognise(columns: Sequence[str], file_name: str = "") -> Dialect | None:
    """Tell by its header and name whose export a file is; nothing where it is a plain list."""
    names = {folded(column) for column in columns}
    return next((dialect for dialect in DIALECTS if dialect.wrote(names, file_name)), None)


#: Mailchimp puts each kind of contact into a file of its own; that somebody never subscribed stands nowhere else.
_MAILCHIMP_FILE = re.compile(
    r"(subscribed|unsubscribed|cleaned|nonsubscribed|sms_only)_(?:email_audience|members)_export"
)


def _at_mailchimp(cells: Mapping[str, str], file_name: str) -> There:
    """Judge a row; a file of two kinds, which Mailchimp does not write, is judged by the graver one."""
    named = _MAILCHIMP_FILE.match(file_name.casefold())
    kind = named[1] if named else ""
    if "cleaned" in cells or kind == "cleaned":
        return There.bounced
    if "unsubscribed" in cells or kind == "unsubscribed":
        reason = cells.get("unsubscribe_reason", "").casefold()
        complained = any(word in reason for word in ("abuse", "spam", "complain"))
        return There.complained if complained else There.unsubscribed
    return There.never_asked if kind in {"nonsubscribed", "sms_only"} else There.reader


def _at_listmonk(cells: Mapping[str, str], _: str) -> There:
    return There.reader if cells.get("status", "").casefold() == "enabled" else There.blocked


#: SendGrid names the file after the list; bounces and blocks have the same columns. A block ends by itself: the
#: mailbox refused one mail, and SendGrid goes on mailing it.
_SENDGRID_FILE = re.compile(r"suppression_.*?(bounce|block|spam|invalid|unsubscribe)")
_AT_SENDGRID = {
    "bounce": There.bounced,
    "block": There.refused,
    "spam": There.complained,
    "invalid": There.invalid,
    "unsubscribe": There.unsubscribed,
}


def _at_sendgrid(_: Mapping[str, str], file_name: str) -> There:
    named = _SENDGRID_FILE.match(file_name.casefold())
    return _AT_SENDGRID[named[1]] if named else There.blocked


def _here(cells: Mapping[str, str], _: str) -> There:
    if cells.get("suppressed", ""):
        return There.blocked
    known = {"confirmed": There.reader, "pending": There.pending, "left": There.unsubscribed}
    return known.get(cells.get("state", "").casefold(), There.lapsed)


MAILCHIMP = Dialect(
    service="Mailchimp",
    signs=(
        frozenset({"optintime", "confirmtime"}),
        frozenset({"leid", "euid"}),
        frozenset({"memberrating"}),
        frozenset({"unsubtime"}),
        frozenset({"cleantime"}),
    ),
    columns={
        "opted_in": frozenset({"optintime"}),
        "opt_in_ip": frozenset({"optinip"}),
        "confirmed": frozenset({"confirmtime"}),
        "confirm_ip": frozenset({"confirmip"}),
        "unsubscribed": frozenset({"unsubtime"}),
        "unsubscribe_reason": frozenset({"unsubreason"}),
        "cleaned": frozenset({"cleantime"}),
    },
    proofs={"opted_in": "opted_in", "confirmed": "confirmed"},
    addresses=("confirm_ip", "opt_in_ip"),
    judge=_at_mailchimp,
    file_names=_MAILCHIMP_FILE,
)

LISTMONK = Dialect(
    service="listmonk",
    signs=(frozenset({"uuid", "attributes"}), frozenset({"attributes", "status"}), frozenset({"uuid", "status"})),
    columns={"status": frozenset({"status"}), "created": frozenset({"createdat"})},
    proofs={"opted_in": "created"},
    addresses=(),
    judge=_at_listmonk,
    caution=(
        "listmonk's files do not say who unsubscribed from one list only, or never confirmed: export those of the list "
        "with subscription_status=confirmed, and what stands under unsubscribed for `newsletter suppressions import`."
    ),
)

SENDGRID = Dialect(
    service="SendGrid",
    signs=(frozenset({"email", "reason", "created"}),),
    columns={},
    proofs={},
    addresses=(),
    judge=_at_sendgrid,
    file_names=_SENDGRID_FILE,
)

OURS = Dialect(
    service="newsletter",
    signs=(
        frozenset({"email", "plan", "state"}),
        frozenset({"planuntil", "state"}),
        frozenset({"email", "suppressed"}),
    ),
    columns={name: frozenset({name}) for name in ("state", "suppressed", "locale", "joined")},
    proofs={"opted_in": "joined"},
    addresses=(),
    judge=_here,
)

DIALECTS = (MAILCHIMP, LISTMONK, SENDGRID, OURS)
