"""Sender authentication: whether receivers can tell that a publication's mail is its own, one domain after another.

SendGrid signs with the domain that was authenticated there, and sends from a return path below it
(``em1234.example.com``): SPF is asked of that name, DKIM of its two selectors, DMARC of the domain in From.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from newsletter.delivery.mailbox_providers import OTHER, mailbox_provider
from newsletter.doctor.installation import Installation
from newsletter.doctor.records import aligned, dkim_bits, dmarc_of, organisation_of, spf_of
from newsletter.doctor.results import Result, Skip, ok, problem, warning
from newsletter.providers.sendgrid_account import AccountRefused


_PAGE = "SendGrid: Settings › Sender Authentication"
#: SendGrid's selectors, where its answer does not name them.
_SELECTORS = ("s1", "s2")
#: Google's sender guidelines: no shorter key is taken, and this long is advised.
SHORTEST_KEY = 1024
ADVISED_KEY = 2048


@dataclass(frozen=True)
class SigningDomain:
    """A domain that was authenticated at SendGrid.

    Attributes:
        name: The ``d=`` of the signatures.
        return_path: Host of the envelope's sender.
        selectors: Hosts of the keys.
        valid: Whether SendGrid has found its records.
        default: Whether it signs for senders of other domains too.
        missing: Hosts whose records SendGrid has not found.
    """

    name: str
    return_path: str
    selectors: tuple[str, ...]
    valid: bool
    default: bool
    missing: tuple[str, ...]


def domain(installation: Installation) -> Iterator[Result]:
    """Look whether SendGrid signs with each sender's domain."""
    known = _authenticated(installation)
    if not known and not installation.live:
        raise Skip("NOT LIVE: the local SendGrid signs for nobody")
    for name in _sender_domains(installation):
        if (provider := mailbox_provider(name)) != OTHER:
            yield problem(f"{name} belongs to {provider}: receivers refuse mail from it that others send", _OWN_DOMAIN)
        elif (ours := _chosen(known, name)) is None:
            yield problem(f"SendGrid does not sign for {name}: nobody can tell that mail is yours", f"add it ({_PAGE})")
        elif not ours.valid:
            where = f": {', '.join(ours.missing)}" if ours.missing else ""
            yield problem(f"SendGrid does not find the records of {ours.name}{where}", f"publish them ({_PAGE})")
        else:
            yield ok(f"SendGrid signs for {name} as {ours.name}")


_OWN_DOMAIN = "send from a domain of your own: `newsletter publication set CODE --sender`"


def spf(installation: Installation) -> Iterator[Result]:
    """Look at the SPF record of the return path; without knowing it, at the sender's own."""
    names = installation.names
    for name, ours in _signing(installation):
        host = ours.return_path if ours else name
        found = spf_of(names.texts(host))
        if len(found) > 1:
            yield problem(f"{host} has {len(found)} SPF records, which is an error (RFC 7208)", "make one of them")
        elif not found and ours:
            yield problem(f"{host}, the return path of {name}, has no SPF record", f"publish the CNAME ({_PAGE})")
        elif not found:
            yield warning(f"{name} has no SPF record", f"authenticate the domain ({_PAGE})")
        elif "+all" in found[0].lower().split():
            yield problem(f"the SPF record of {host} lets anybody send (+all)", "end it with ~all or -all")
        else:
            yield ok(f"{host}: {found[0]}")


def dkim(installation: Installation) -> Iterator[Result]:
    """Look at the keys that SendGrid's signatures are checked with."""
    names = installation.names
    for name, ours in _signing(installation):
        hosts = ours.selectors if ours else tuple(f"{selector}._domainkey.{name}" for selector in _SELECTORS)
        for host in hosts:
            yield _judged_key(host, names.texts(host))


def _judged_key(host: str, texts: Sequence[str]) -> Result:
    found = [bits for text in texts if (bits := dkim_bits(text)) is not None]
    if not found:
        return problem(f"{host} holds no DKIM key", f"publish SendGrid's record ({_PAGE})")
    if found[0] == 0:
        return problem(f"the DKIM key at {host} was withdrawn", f"publish SendGrid's record anew ({_PAGE})")
    if SHORTEST_KEY <= found[0] < ADVISED_KEY:
        return warning(f"the DKIM key at {host} has {found[0]} bits", f"{ADVISED_KEY} are advised: renew it ({_PAGE})")
    # Ed25519 keys are short and strong.
    if found[0] < SHORTEST_KEY and found[0] != 256:  # noqa: PLR2004 - the length of every Ed25519 key
        return problem(f"the DKIM key at {host} has only {found[0]} bits", f"renew it ({_PAGE})")
    return ok(f"{host}: {found[0]} bits")


def dmarc(installation: Installation) -> Iterator[Result]:
    """Look at the policy for the domain in From, and whether SendGrid's signature is aligned with it."""
    names = installation.names
    for name, ours in _signing(installation):
        found = dmarc_of(names.texts(f"_dmarc.{name}"))
        host = f"_dmarc.{name}" if found else f"_dmarc.{organisation_of(name)}"
        if not found and organisation_of(name) != name:
            # The organisation's record stands in; its sp= is what it says of domains below (RFC 7489 §6.3).
            found = [{**one, "p": one.get("sp", one.get("p", ""))} for one in dmarc_of(names.texts(host))]
        yield from _judged_policy(host, found)
        if found and ours:
            yield _alignment(name, ours, strict=found[0].get("adkim", "r").lower() == "s")


def _judged_policy(host: str, found: Sequence[Mapping[str, str]]) -> Iterator[Result]:
    begin = f'publish a TXT record at {host}: "v=DMARC1; p=none; rua=mailto:dmarc@…"'
    if not found:
        yield problem(f"{host} holds no DMARC policy; Gmail, Yahoo and Outlook.com ask bulk senders for one", begin)
    elif len(found) > 1:
        yield problem(f"{host} holds {len(found)} DMARC records, which count as none", "leave one")
    elif (policy := found[0].get("p", "").lower()) not in {"none", "quarantine", "reject"}:
        yield problem(f"the DMARC record at {host} has no policy that is one (p={policy})", begin)
    elif "rua" not in found[0]:
        yield warning(f"{host}: p={policy}, and nobody gets its reports", "add rua=mailto:… to see who mails as you")
    else:
        yield ok(f"{host}: p={policy}")


def _alignment(name: str, ours: SigningDomain, *, strict: bool) -> Result:
    if aligned(name, ours.name, strict=strict):
        return ok(f"signatures of {ours.name} are aligned with From {name}")
    how = "exactly this domain (adkim=s)" if strict else "one domain of the same organisation"
    return problem(
        f"signatures of {ours.name} are not aligned with From {name}: DMARC asks for {how}",
        f"authenticate {name} itself ({_PAGE})",
    )


def exchanges(installation: Installation) -> Iterator[Result]:
    """Look whether the addresses in From and Reply-To can take mail."""
    names = installation.names
    for publication in installation.publications():
        for what, address in (("From", publication.sender), ("Reply-To", publication.reply_to)):
            if not address:
                continue
            host = _domain_of(address)
            found = names.exchanges(host)
            if "" in found:
                # RFC 7505 §4.2: mail from such a domain may be refused too.
                yield problem(f"{what} of {publication.code}: {host} says that it takes no mail (null MX)", _ANSWERABLE)
            elif not found and not names.has_address(host):
                yield problem(f"{what} of {publication.code}: {host} has no MX record, nor any address", _ANSWERABLE)
            elif not found and what == "Reply-To":
                yield warning(f"{what} of {publication.code}: {host} has no MX record", _ANSWERABLE)
            else:
                taker = found[0] if found else "the host itself"
                yield ok(f"{what} of {publication.code}: {taker} takes mail for {host}")


_ANSWERABLE = "readers answer: use an address whose domain takes mail, `newsletter publication set CODE --reply-to`"


def _signing(installation: Installation) -> Iterator[tuple[str, SigningDomain | None]]:
    """Give each sender's domain with the domain that SendGrid signs it with, as far as SendGrid can be asked."""
    try:
        known = _authenticated(installation)
    except (AccountRefused, Skip):
        known = ()
    for name in _sender_domains(installation):
        yield name, _chosen(known, name)


def _authenticated(installation: Installation) -> tuple[SigningDomain, ...]:
    found = installation.sendgrid.ask("whitelabel/domains", list, "whitelabel.read")
    return tuple(_read(one) for one in found if _is_domain(one))


def _is_domain(one: object) -> bool:
    return isinstance(one, dict) and isinstance(one.get("domain"), str)


def _read(one: Mapping[str, Any]) -> SigningDomain:
    dns = one["dns"] if isinstance(one.get("dns"), dict) else {}
    records = {kind: record for kind, record in dns.items() if isinstance(record, dict)}
    keys = tuple(str(record["host"]) for kind, record in records.items() if "dkim" in kind and record.get("host"))
    missing = tuple(str(record.get("host")) for record in records.values() if not record.get("valid", True))
    return SigningDomain(
        one["domain"].lower(),
        ".".join(filter(None, (str(one.get("subdomain") or ""), one["domain"].lower()))),
        keys or tuple(f"{selector}._domainkey.{one['domain']}" for selector in _SELECTORS),
        bool(one.get("valid")),
        bool(one.get("default")),
        missing,
    )


def _chosen(known: Sequence[SigningDomain], name: str) -> SigningDomain | None:
    """Give the domain that SendGrid signs a sender's mail with: the sender's own, else the default of its kin."""
    for one in known:
        if one.name == name:
            return one
    return next((one for one in known if one.default and aligned(one.name, name)), None)


def _sender_domains(installation: Installation) -> list[str]:
    return list(dict.fromkeys(_domain_of(one.sender) for one in installation.publications()))


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower().encode("idna").decode()
