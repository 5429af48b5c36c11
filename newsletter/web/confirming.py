"""``/confirm/<token>``: where the owner of a mailbox confirms a sign-up or a new address. After ``signing_up``.

Scanners follow every link of a mail, some with JavaScript: GET shows what would be confirmed and one plain button, and
only its POST confirms. A second press is answered with what is true.
"""

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response
from sqlmodel import Session

from newsletter.feedback.levelling import follow_lift
from newsletter.outbox import NoticeKind, NoticeOrder, enqueue
from newsletter.publications import Publication, publication_by_id
from newsletter.signing import ExpiredToken, ForgedToken, Purpose
from newsletter.web.forms import evidence_of
from newsletter.web.pages import Here, Visit, language_for
from subscribers.actors import READER
from subscribers.addresses import mask
from subscribers.consent_models import OptIn, OptInKind
from subscribers.new_address import confirm_address
from subscribers.opt_in import Answer, Click, Confirmation, confirm, find_request, settled_answer
from subscribers.plans import plan_by_id
from subscribers.roster import SubscriptionView, find_subscription


router = APIRouter()

_KIND_OF = {Purpose.confirm: OptInKind.subscribe, Purpose.change_address: OptInKind.address}
#: The first part of the names of what a page says of a kind of request.
_WORDS = {OptInKind.subscribe: "confirm", OptInKind.address: "address"}
_STATUS = {Answer.ended: 410}


@dataclass(frozen=True)
class _Request:
    """A request that a link names, with its reader and publication."""

    opt_in: OptIn
    reader: SubscriptionView
    publication: Publication


@router.api_route("/confirm/{token}", methods=["GET", "HEAD"])
def show_request(visit: Here, token: str) -> Response:
    """Show what would be confirmed, and one button. Changes nothing."""
    with visit.service.database.reading() as session:
        try:
            found = _find(visit, session, token)
        except (ForgedToken, ExpiredToken) as error:
            return _refused(visit, error)
    answer = settled_answer(found.opt_in, found.reader) if found else Answer.ended
    if found is None or answer:
        return _answer(visit, found, answer or Answer.ended)
    name = f"{_WORDS[found.opt_in.kind]}_ask"
    words, publication = visit.words, found.publication
    address = mask(found.opt_in.new_address or found.reader.email)
    return visit.show(
        "confirm",
        heading=words[name].format(publication=publication.name),
        sentence=words[f"{name}_detail"].format(address=address),
        button=words[f"{_WORDS[found.opt_in.kind]}_button"],
    )


@router.post("/confirm/{token}")
def do_confirm(visit: Here, token: str) -> Response:
    """Confirm. Twice is fine; the answer says what is true."""
    now = visit.now
    with visit.service.database.writing() as session:
        try:
            found = _find(visit, session, token)
        except (ForgedToken, ExpiredToken) as error:
            return _refused(visit, error)
        if found is None:
            return _answer(visit, found, Answer.ended)
        click = Click(found.opt_in.id, evidence_of(visit.request))
        act = confirm if found.opt_in.kind is OptInKind.subscribe else confirm_address
        confirmation = act(session, click, hasher=visit.service.hasher, by=READER, now=now)
        if confirmation.answer is Answer.confirmed:
            enqueue(session, _word_of_it(visit, session, found, confirmation), now=now)
    if confirmation.answer is Answer.confirmed and confirmation.subscription:
        # By itself: whoever applies feedback may be waiting for what was just written.
        with visit.service.database.writing() as session:
            follow_lift(session, confirmation.subscription.email, visit.service.feedback_scene)
    return _answer(visit, found, confirmation.answer, confirmation.subscription)


def _find(visit: Visit, session: Session, token: str) -> _Request | None:
    """Find the request that a link names; nothing where it is gone.

    Raises:
        ForgedToken: The link was not made here.
        ExpiredToken: It has expired.
    """
    purpose, opt_in_id = _read(visit, token)
    opt_in = find_request(session, opt_in_id)
    if opt_in is None or opt_in.kind is not _KIND_OF[purpose]:
        return None
    reader = find_subscription(session, opt_in.subscription_id)
    return _Request(opt_in, reader, publication_by_id(session, opt_in.publication_id))


def _read(visit: Visit, token: str) -> tuple[Purpose, int]:
    try:
        return Purpose.confirm, visit.service.signer.ids(Purpose.confirm, token, now=visit.now)[0]
    except ForgedToken:
        return Purpose.change_address, visit.service.signer.ids(Purpose.change_address, token, now=visit.now)[0]


def _word_of_it(visit: Visit, session: Session, found: _Request, confirmation: Confirmation) -> NoticeOrder:
    """Order the welcome; or word of the new address, which goes to the one before."""
    reader, locale = confirmation.subscription or found.reader, found.opt_in.locale
    if found.opt_in.kind is OptInKind.address:
        kind, detail = NoticeKind.address_changed, {"event_id": str(confirmation.event_id)}
    else:
        plan = plan_by_id(session, reader.publication_id, reader.plan_id)
        weekly = visit.pages.words[language_for(locale or found.publication.locale)]["weekly"]
        kind, detail = NoticeKind.welcome, {"plan": plan.name, "frequency": found.publication.frequency or weekly}
    live = visit.service.live
    return NoticeOrder(kind, reader.publication_id, reader.id, live, locale=locale or reader.locale, detail=detail)


def _refused(visit: Visit, error: ForgedToken | ExpiredToken) -> Response:
    if isinstance(error, ExpiredToken):
        return visit.say("confirm_expired", status=410, links=[("/", "sign_up_again")])
    return visit.say("confirm_forged", status=404)


def _answer(visit: Visit, found: _Request | None, answer: Answer, reader: SubscriptionView | None = None) -> Response:
    """Say what a press came to, or has come to before."""
    if found is None:
        return visit.say("confirm_ended", status=410, links=[("/", "sign_up_again")])
    after = reader or found.reader
    sign_up = (f"/sign-up/{found.publication.code}", "sign_up_again")
    preferences = (f"/preferences/{after.unsubscribe_id}", "preferences_title")
    acted = answer in {Answer.confirmed, Answer.already}
    return visit.say(
        f"{_WORDS[found.opt_in.kind] if acted else 'confirm'}_{answer}",
        status=_STATUS.get(answer, 200),
        links=[preferences] if acted else [sign_up] if answer is Answer.ended else [],
        publication=found.publication.name,
        address=mask(after.email),
    )
