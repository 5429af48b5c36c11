"""Letters: a stored notice and its reader as what a mail is made from; its links are made here, and stored nowhere.

Tokens are signed as of the moment when the notice was made: a second try holds the same bytes, and a mail that leaves
late does not work longer than it says.
"""

from dataclasses import dataclass
from datetime import datetime

from newsletter.notices.addressing import Addressee
from newsletter.notices.kinds import RULES
from newsletter.notices.rendering import Letter
from newsletter.outbox import Notice, NoticeKind
from newsletter.publications import Publication, zone_of
from newsletter.rendering.mail import Face
from newsletter.rendering.themes import Theme
from newsletter.signing import LIFETIMES, LinkSigner
from subscribers.addresses import mask
from subscribers.roster import SubscriptionView


@dataclass(frozen=True)
class Stationery:
    """What an installation writes its notices with, and the address at which readers reach it."""

    theme: Theme
    signer: LinkSigner
    public_url: str

    def unsubscribe_url(self, reader: SubscriptionView) -> str:
        """Write a reader's way out, as issues have it."""
        return f"{self.public_url}/u/{reader.unsubscribe_id}"

    def preferences_url(self, reader: SubscriptionView) -> str:
        """Write the address of a reader's settings."""
        return f"{self.public_url}/preferences/{reader.unsubscribe_id}"


def letter_for(notice: Notice, addressee: Addressee, publication: Publication, stationery: Stationery) -> Letter:
    """Write the letter of a notice."""
    rule, reader = RULES[notice.kind], addressee.reader
    locale = notice.locale or publication.locale
    link = link_of(notice, reader, publication, stationery)
    preferences = stationery.preferences_url(reader) if rule.is_list_mail else ""
    return Letter(
        kind=notice.kind,
        face=_face(publication),
        locale=locale,
        link=link,
        # Where the button leads there already, once is enough.
        preferences_url=preferences if preferences != link else "",
        unsubscribe_url=stationery.unsubscribe_url(reader) if rule.is_list_mail else "",
        masked_address=mask(addressee.address),
        facts=_facts(notice, reader, publication, stationery.theme, locale),
    )


def expires_at(notice: Notice) -> datetime | None:
    """Tell when a notice's link ends; nothing where it has none that does."""
    purpose = RULES[notice.kind].purpose
    return notice.created_at + LIFETIMES[purpose] if purpose else None


def link_of(notice: Notice, reader: SubscriptionView, publication: Publication, stationery: Stationery) -> str:
    """Write the one link that a notice is about; empty for a kind that only tells something."""
    url = stationery.public_url
    match notice.kind:
        case NoticeKind.confirm | NoticeKind.confirm_address:
            return f"{url}/confirm/{_token(stationery, notice, notice.opt_in_id or 0)}"
        case NoticeKind.sign_in:
            return f"{url}/issues/{publication.code}/sign-in/{_token(stationery, notice, reader.id)}"
        case NoticeKind.read_again:
            return f"{url}/read/{_token(stationery, notice, reader.id, int(notice.detail['mailing_id']))}"
        case NoticeKind.renewal:
            return notice.detail["upgrade_url"] or publication.upgrade_url
        case NoticeKind.address_changed:
            return f"{url}/take-back/{_token(stationery, notice, int(notice.detail['event_id']))}"
        case _:
            return stationery.preferences_url(reader)


def _token(stationery: Stationery, notice: Notice, *ids: int) -> str:
    purpose = RULES[notice.kind].purpose
    if purpose is None:
        raise ValueError(f"no purpose is named for the link of {notice.kind}")
    return stationery.signer.sign(purpose, *ids, at=notice.created_at)


def _facts(
    notice: Notice, reader: SubscriptionView, publication: Publication, theme: Theme, locale: str
) -> dict[str, str]:
    facts = dict(notice.detail)
    if ends := expires_at(notice):
        local = ends.astimezone(zone_of(publication))
        moment = str(theme.words_for(locale)["moment"])
        facts["until"] = moment.format(date=local.date(), time=f"{local:%H:%M}", zone=publication.time_zone)
    if notice.kind is NoticeKind.address_changed:
        facts["new_address"] = mask(reader.email)
    return facts


def _face(publication: Publication) -> Face:
    return Face(
        name=publication.name,
        site_url=publication.site_url,
        postal_address=publication.postal_address,
        locale=publication.locale,
        logo_url=publication.logo_url,
        brand_color=publication.brand_color,
    )
