"""The test mail: an issue as a plan's readers will get it, to an address where a person looks. Before ``scheduling``.

It is the real rendering by the same three functions, filled and submitted in the same way, and yet nobody's delivery:
it stands in no ledger, its links lead to nobody's settings, and feedback about it is not heard (``TRIAL``).
"""

from dataclasses import dataclass
from secrets import token_urlsafe

from sqlmodel import Session

from newsletter.delivery.requests import Letterhead
from newsletter.delivery.variants import Workshop, face_of, reader_plans
from newsletter.errors import Refused
from newsletter.issues.access import cut, may_receive
from newsletter.issues.document import parse
from newsletter.issues.models import Revision
from newsletter.list_headers import list_id, way_out
from newsletter.providers.base import Message, Recipient
from newsletter.providers.feedback import TRIAL
from newsletter.publications import Publication
from newsletter.rendering.mail import Rendering, render
from newsletter.rendering.personalisation import ReaderValues, values_by_tag
from subscribers.addresses import Address, mask
from subscribers.plans import plan_named


#: As long as a reader's own, and nobody's: a link of a test mail ends nobody's subscription.
NOBODY = "test-mail-of-nobody-00"


@dataclass(frozen=True)
class Trial:
    """A test mail that is asked for: of which revision, as which plan, and to whom."""

    revision: Revision
    publication: Publication
    plan: str
    address: Address


def trial_message(session: Session, trial: Trial, workshop: Workshop, letterhead: Letterhead) -> Message:
    """Build a test mail; its subject says that it is one.

    Raises:
        BadIssue: The source cannot be read.
        UnknownPlan: The publication has no such plan.
        Refused: The plan's readers do not get this issue.
    """
    rendering, publication = _rendering(session, trial, workshop), trial.publication
    token = token_urlsafe(16)
    recipient = Recipient(
        address=trial.address.email,
        name="",
        headers=way_out(publication, letterhead.unsubscribe_url(NOBODY), NOBODY),
        substitutions=values_by_tag(rendering.substitutions, _values(trial, letterhead)),
        custom_args={"attempt_id": f"{TRIAL}{token}"},
    )
    return Message(
        sender=publication.sender,
        sender_name=publication.name,
        reply_to=publication.reply_to,
        subject=f"{workshop.theme.words_for(rendering.locale)['trial']!s}{rendering.subject}",
        html=rendering.html,
        text=rendering.text,
        recipients=(recipient,),
        headers={"List-Id": list_id(publication)},
    )


def _rendering(session: Session, trial: Trial, workshop: Workshop) -> Rendering:
    plan_id = plan_named(session, trial.publication.id, trial.plan or None).id
    plans = reader_plans(session, trial.publication)
    document, plan = parse(trial.revision.source), plans[plan_id]
    if not may_receive(document, plan):
        raise Refused(f"readers of plan {trial.plan!r} do not get this issue: its front matter is for other plans")
    face = face_of(trial.publication, plans.values(), workshop)
    return render(cut(document, plan), face, plan, workshop.theme)


def _values(trial: Trial, letterhead: Letterhead) -> ReaderValues:
    return ReaderValues(
        name="",
        masked_address=mask(trial.address.email),
        unsubscribe_url=letterhead.unsubscribe_url(NOBODY),
        preferences_url=f"{letterhead.public_url}/preferences/{NOBODY}",
        read_url=f"{letterhead.public_url}/issues/{trial.publication.code}/",
    )
