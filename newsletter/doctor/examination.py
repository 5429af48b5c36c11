"""The examination of an installation: every check by its name, in the order in which trouble is best mended."""

from collections.abc import Mapping

from newsletter.doctor import account, alarms, machine, publications, senders, webhook
from newsletter.doctor.installation import Installation
from newsletter.doctor.results import Check, Result, run


CHECKS: Mapping[str, Check[Installation]] = {
    "store": machine.store,
    "secrets": machine.secrets,
    "sqlite": machine.sqlite,
    "disk": machine.disk,
    "permissions": machine.permissions,
    "public-url": machine.public_url,
    "key": account.key,
    "scopes": account.scopes,
    "credits": account.credits_,
    "clock": account.clock,
    "webhook": webhook.settings,
    "webhook-key": webhook.signature,
    "reachable": webhook.reachable,
    "alarms": alarms.ways,
    "publication": publications.complete,
    "allow-list": publications.allow_list,
    "domain": senders.domain,
    "spf": senders.spf,
    "dkim": senders.dkim,
    "dmarc": senders.dmarc,
    "exchanges": senders.exchanges,
}


def examine(installation: Installation) -> tuple[Result, ...]:
    """Make every check of an installation, and change nothing."""
    return run(CHECKS, installation)
