"""Variants: a revision rendered for each plan that may have it. Looked at before scheduling, stored when it begins."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.delivery.models import Correction, Mailing, Variant
from newsletter.delivery.published import not_taken_back
from newsletter.errors import NotFound
from newsletter.issues.access import ReaderPlan, cut, demanded_plans, may_receive
from newsletter.issues.document import Document, parse
from newsletter.issues.excerpt import Wrapper, excerpt
from newsletter.issues.models import Revision
from newsletter.preflight.edition import Edition, Moment
from newsletter.publications import Publication, publication_by_id
from newsletter.rendering.mail import Face, Rendering, render
from newsletter.rendering.personalisation import Place, Substitution
from newsletter.rendering.themes import Theme
from subscribers.plans import PlanView, list_plans, readable_codes


@dataclass(frozen=True)
class Workshop:
    """What issues are rendered with in this installation: its theme, and where readers reach it."""

    theme: Theme
    public_url: str = ""


def reader_plans(session: Session, publication: Publication) -> dict[int, ReaderPlan]:
    """Give a publication's plans, by id, as the access rule sees them."""
    readable = readable_codes(session, publication.id)
    return {plan.id: _reader_plan(plan, readable[plan.id]) for plan in list_plans(session, publication.id)}


def _reader_plan(plan: PlanView, includes: frozenset[str]) -> ReaderPlan:
    return ReaderPlan(plan.code, includes, plan.name)


def face_of(publication: Publication, plans: Iterable[ReaderPlan], workshop: Workshop) -> Face:
    """Give a publication as the renderer sees it; without a page of its own for signing up it has ours."""
    sign_up_url = f"{workshop.public_url}/sign-up/{publication.code}" if workshop.public_url else ""
    return Face(
        name=publication.name,
        site_url=publication.site_url,
        postal_address=publication.postal_address,
        locale=publication.locale,
        subscribe_url=publication.subscribe_url or sign_up_url,
        upgrade_url=publication.upgrade_url,
        logo_url=publication.logo_url,
        brand_color=publication.brand_color,
        standing_footer=publication.standing_footer,
        plan_names={plan.code: plan.name for plan in plans if plan.name},
    )


def edition_of(
    source: str, publication: Publication, plans: Iterable[ReaderPlan], workshop: Workshop, moment: Moment
) -> Edition:
    """Render a source for every plan that may have it, for preflight.

    Raises:
        BadIssue: The source cannot be read.
    """
    document = parse(source)
    # A file without a publication is looked at as a reader of everything in it, and as one of nothing, would see it.
    known = tuple(plans) or stand_in_plans(document)
    face = face_of(publication, known, workshop)
    renderings = tuple(
        render(cut(document, plan), face, plan, workshop.theme) for plan in known if may_receive(document, plan)
    )
    return Edition(document, face, publication.reply_to, known, renderings, moment)


def stand_in_plans(document: Document) -> tuple[ReaderPlan, ...]:
    """Give the plans of an issue that is looked at before there is a publication: `free`, and those it names."""
    named = tuple(dict.fromkeys((*(document.front.plans or ()), *demanded_plans(document))))
    others = (ReaderPlan(plan, frozenset({plan, "free"}), plan) for plan in named if plan != "free")
    return (ReaderPlan("free", frozenset({"free"}), "free"), *others)


def mailed_before(session: Session, revision_id: int, *, live: bool) -> datetime | None:
    """Tell when a revision was last mailed on this side of NOT LIVE."""
    begun = select(col(Mailing.begun_at)).where(
        Mailing.revision_id == revision_id,
        col(Mailing.live).is_(live),
        col(Mailing.begun_at).is_not(None),
        not_taken_back(),
    )
    return session.exec(begun.order_by(col(Mailing.begun_at).desc())).first()


def variants_for(session: Session, mailing: Mailing, workshop: Workshop) -> list[Variant]:
    """Render a mailing's revision for every plan that may have it; the same revision gives the same bytes.

    Raises:
        BadIssue: The source cannot be read.
        NotFound: The mailing's revision is gone, or the section that it corrects.
    """
    if (revision := session.get(Revision, mailing.revision_id)) is None:
        raise NotFound(f"mailing {mailing.id}: its revision is gone")
    publication = publication_by_id(session, mailing.publication_id)
    plans = reader_plans(session, publication)
    document = _document(session, mailing, revision, publication, workshop)
    face = face_of(publication, plans.values(), workshop)
    return [
        _variant(mailing, plan_id, render(cut(document, plan), face, plan, workshop.theme))
        for plan_id, plan in plans.items()
        if may_receive(document, plan)
    ]


def _document(
    session: Session, mailing: Mailing, revision: Revision, publication: Publication, workshop: Workshop
) -> Document:
    """Read what a mailing carries: its revision whole, or a correction's note with the section that it mends."""
    document = parse(revision.source)
    if mailing.correction_id is None:
        return document
    note = session.get_one(Correction, mailing.correction_id).note
    words = workshop.theme.words_for(document.front.locale or publication.locale)
    page = f"{workshop.public_url}/issues/{publication.code}/{mailing.issue_id}" if workshop.public_url else ""
    wrapper = Wrapper(str(words["correction_title"]), note, page, str(words["correction_link"]))
    return excerpt(document, wrapper, mailing.section)


def substitutions_of(variant: Variant) -> tuple[Substitution, ...]:
    """Give the tags of a stored variant."""
    return tuple(
        Substitution(one["tag"], one["field"], Place(one["place"]), one["default"]) for one in variant.substitutions
    )


def _variant(mailing: Mailing, plan_id: int, rendering: Rendering) -> Variant:
    substitutions = [asdict(one) for one in rendering.substitutions]
    whole = "\0".join((rendering.subject, rendering.html, rendering.text, json.dumps(substitutions)))
    return Variant(
        mailing_id=mailing.id,
        plan_id=plan_id,
        subject=rendering.subject,
        preheader=rendering.preheader,
        html=rendering.html,
        text=rendering.text,
        substitutions=substitutions,
        sha256=hashlib.sha256(whole.encode()).hexdigest(),
    )
