"""Samples: a notice of each kind to nobody, for people who look at how notices read (``newsletter notices render``).

Its links are written as real ones are, and lead nowhere: they are signed with a key that no installation has.
"""

from datetime import datetime, timedelta
from secrets import token_bytes

from newsletter.notices.addressing import Addressee
from newsletter.notices.letters import Stationery, letter_for
from newsletter.notices.rendering import Letter
from newsletter.outbox import FACTS, Notice, NoticeKind, NoticeState
from newsletter.publications import Publication
from newsletter.rendering.themes import Theme
from newsletter.signing import LinkSigner
from subscribers.models import SubscriptionState
from subscribers.roster import SubscriptionView


_SITE = "https://example.com"
#: What the facts of a sample say, by language and name; what is the same in each stands in ``_facts``.
_WORDS = {
    "zh": {"plan": "专业版", "before": "免费版", "then": "免费版", "frequency": "每周一", "title": "示例：第一期"},
    "en": {"plan": "Pro", "before": "Free", "then": "Free", "frequency": "every Monday", "title": "A sample issue"},
}


def sample_letter(kind: NoticeKind, publication: Publication, locale: str, theme: Theme, *, now: datetime) -> Letter:
    """Write the letter of a kind to an invented reader of a publication."""
    reader = _reader(publication, now)
    stationery = Stationery(theme, LinkSigner((token_bytes(32),)), _SITE)
    return letter_for(_notice(kind, locale, now), Addressee(reader, reader.email, ""), publication, stationery)


def _notice(kind: NoticeKind, locale: str, now: datetime) -> Notice:
    same = {"mailing_id": "1", "event_id": "1", "until": str((now + timedelta(days=7)).date())}
    known = same | {"upgrade_url": f"{_SITE}/renew"} | _WORDS["zh" if locale.startswith("zh") else "en"]
    facts = {name: known[name] for name in FACTS[kind]}
    return Notice(
        id=0,
        kind=kind,
        publication_id=0,
        subscription_id=0,
        opt_in_id=1,
        bucket="",
        live=False,
        locale=locale,
        detail=facts,
        state=NoticeState.waiting,
        created_at=now,
    )


def _reader(publication: Publication, now: datetime) -> SubscriptionView:
    return SubscriptionView(
        id=1,
        publication_id=publication.id,
        subscriber_id=1,
        email="reader@example.com",
        name="",
        locale="",
        plan_id=1,
        plan="pro",
        state=SubscriptionState.confirmed,
        unsubscribe_id="sample" + "-" * 16,
        created_at=now,
        confirmed_at=now,
        left_at=None,
    )
