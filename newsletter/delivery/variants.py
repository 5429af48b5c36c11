"""Variants: a revision rendered for each plan that may have it. Looked at before scheduling, stored when it begins."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session

from newsletter.delivery.models import Mailing, Variant
from newsletter.errors import NotFound
from newsletter.issues.access import ReaderPlan, cut, may_receive
from newsletter.issues.document import parse
from newsletter.issues.models import Revision
from newsletter.preflight.edition import Edition
from newsletter.publications import Publication, publication_by_id
from newsletter.rendering.mail import Face, Rendering, render
from newsletter.rendering.themes import Theme
from subscribers.plans import PlanView, list_plans, readable_codes


@dataclass(frozen=True)
class Workshop:
    """What issues are rendered with in this installation."""

    theme: Theme


def reader_plans(session: Session, publication: Publication) -> dict[int, ReaderPlan]:
    """Give a publication's plans, by id, as the access rule sees them."""
    readable = readable_codes(session, publication.id)
    return {plan.id: _reader_plan(plan, readable[plan.id]) for plan in list_plans(session, publication.id)}


def _reader_plan(plan: PlanView, includes: frozenset[str]) -> ReaderPlan:
    return ReaderPlan(plan.code, includes, plan.name)


def face_of(publication: Publication) -> Face:
    """Give a publication as the renderer sees it."""
    return Face(
        name=publication.name,
        site_url=publication.site_url,
        postal_address=publication.postal_address,
        locale=publication.locale,
    )


def edition_of(source: str, publication: Publication, plans: Iterable[ReaderPlan], workshop: Workshop) -> Edition:
    """Render a source for every plan that may have it, for preflight.

    Raises:
        BadIssue: The source cannot be read.
    """
    document, face = parse(source), face_of(publication)
    # A file without a publication is looked at as anybody's plan would see it.
    known = tuple(plans) or (ReaderPlan("free", frozenset({"free", *(document.front.plans or ())})),)
    renderings = tuple(
        render(cut(document, plan), face, plan, workshop.theme) for plan in known if may_receive(document, plan)
    )
    return Edition(document, face, publication.reply_to, tuple(plan.code for plan in known), renderings)


def variants_for(session: Session, mailing: Mailing, workshop: Workshop) -> list[Variant]:
    """Render a mailing's revision for every plan that may have it; the same revision gives the same bytes.

    Raises:
        BadIssue: The source cannot be read.
        NotFound: The mailing's revision is gone.
    """
    if (revision := session.get(Revision, mailing.revision_id)) is None:
        raise NotFound(f"mailing {mailing.id}: its revision is gone")
    publication = publication_by_id(session, mailing.publication_id)
    document, face = parse(revision.source), face_of(publication)
    return [
        _variant(mailing, plan_id, render(cut(document, plan), face, plan, workshop.theme))
        for plan_id, plan in reader_plans(session, publication).items()
        if may_receive(document, plan)
    ]


def _variant(mailing: Mailing, plan_id: int, rendering: Rendering) -> Variant:
    whole = f"{rendering.subject}\0{rendering.html}\0{rendering.text}"
    return Variant(
        mailing_id=mailing.id,
        plan_id=plan_id,
        subject=rendering.subject,
        preheader=rendering.preheader,
        html=rendering.html,
        text=rendering.text,
        nonce=rendering.tags.nonce,
        nameless=rendering.tags.nameless,
        sha256=hashlib.sha256(whole.encode()).hexdigest(),
    )
