"""Scripts: what becomes of the mails of a whole audience, by mailbox provider or domain, said in one go.

A script names shares, and each share a reaction or an answer of the receiving servers (``server_texts.yaml``). The
shares of a domain exclude each other: who is of one is of no other. The rest is delivered.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from newsletter.emulator.errors import EmulatorError
from newsletter.emulator.reactions import Reaction


EVERYBODY = "*"
_ANY = "any"
#: The sum of all shares, as sums of such numbers turn out.
_ALL = 1 + 1e-9
_ENHANCED = re.compile(r"^\d{3} ([45]\.\d{1,3}\.\d{1,3})\b")

Table = Mapping[str, Mapping[str, Any]]


def rules_of(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write a script as reactions, each as ``Reactions`` reads it; the first that is asked first.

    Args:
        told: ``audience``, with the shares of each provider, domain, or ``*`` for everybody else; and a ``seed``.

    Raises:
        EmulatorError: It cannot be read; the sentence says what is wrong.
    """
    if unknown := set(told) - {"audience", "seed"}:
        raise EmulatorError(f"a script has no {', '.join(sorted(unknown))}: it has audience, seed")
    audience = told.get("audience")
    if not isinstance(audience, Mapping) or not all(isinstance(shares, Mapping) for shares in audience.values()):
        raise EmulatorError("audience: write the shares of each provider or domain, or of *")
    named = {one: shares for name, shares in audience.items() if "." not in name for one in _domains(name)}
    # A domain's own shares stand in place of its provider's.
    named |= {name.lower(): shares for name, shares in audience.items() if "." in name}
    rest = named.pop("", {})
    rules = [rule for domain, shares in named.items() for rule in _of_domain(domain, shares)]
    return [{"seed": told.get("seed", 0)} | rule for rule in (*rules, *_shares("", rest))]


@cache
def server_texts() -> Table:
    """Give the answers of each provider, ready for a reaction but for their share."""
    read = yaml.safe_load((Path(__file__).parent / "server_texts.yaml").read_text("utf-8"))
    return {
        provider: {
            "domains": one["domains"],
            "answers": {name: _answer(answer) for name, answer in one["answers"].items()},
        }
        for provider, one in read.items()
    }


def _answer(row: Mapping[str, str]) -> dict[str, str]:
    enhanced = _ENHANCED.match(row["reason"])
    status = row.get("status") or (enhanced[1] if enhanced else f"{row['reason'][0]}.0.0")
    return {name: row[name] for name in ("reaction", "reason", "classification") if name in row} | {"status": status}


def _domains(name: str) -> list[str]:
    if name == EVERYBODY:
        return [""]
    providers = {provider: one["domains"] for provider, one in server_texts().items() if provider != _ANY}
    if name not in providers:
        raise EmulatorError(f"audience: {name!r} is no domain and no provider; there is {', '.join(providers)}")
    return list(providers[name])


def _of_domain(domain: str, shares: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from _shares(domain, shares)
    yield {"reaction": str(Reaction.deliver), "domain": domain}


def _shares(domain: str, shares: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    above = 0.0
    for name, share in shares.items():
        more = dict(share) if isinstance(share, Mapping) else {"rate": share}
        rate = more.get("rate")
        if not isinstance(rate, int | float) or rate < 0 or above + rate > _ALL:
            raise EmulatorError(f"{domain or EVERYBODY}: {name}: write a share; all together are 1 at most")
        yield {**_named(domain, name), **more, "domain": domain, "above": above}
        above += rate


def _named(domain: str, name: str) -> Mapping[str, str]:
    """Give the reaction, or the answer of the domain's provider, that is called so."""
    if name in set(Reaction):
        return {"reaction": name}
    table = server_texts()
    provider = next((name for name, one in table.items() if domain in one["domains"]), _ANY)
    answers: Mapping[str, Mapping[str, str]] = {**table[_ANY]["answers"], **table[provider]["answers"]}
    if name not in answers:
        raise EmulatorError(f"{domain or EVERYBODY}: there is no {name!r}; there is {', '.join((*Reaction, *answers))}")
    return answers[name]
