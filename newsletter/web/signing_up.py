"""``/`` and ``/sign-up/<code>``: where strangers ask to subscribe. Before ``confirming``.

The answer is the same whoever asks, in whichever name: nobody learns who reads what. Only the mailbox is told.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import Response
from sqlmodel import Session

from newsletter.errors import NotFound, Refused
from newsletter.outbox import NoticeKind, NoticeOrder, enqueue
from newsletter.publications import Publication, list_publications, publication_named
from newsletter.web.forms import Form, evidence_of, ip_of
from newsletter.web.pages import Here, Visit
from newsletter.web.throttle import FullMailbox, Throttle
from subscribers.actors import READER
from subscribers.addresses import Address, canonical, parse_address
from subscribers.consent_texts import ShownText, find_text, keep_text
from subscribers.errors import InvalidAddress, RefusedPlan, UnknownPlan
from subscribers.opt_in import Asked, Asking, FormProof, SignUp, sign_up
from subscribers.plans import PlanView, list_plans
from subscribers.typing_slips import suggestion_for


router = APIRouter()

#: The language of a page as locales write it.
LOCALES = {"zh": "zh-CN", "en": "en"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Fields whose boxes must be ticked: the mails themselves, and the processor abroad (PIPL, articles 23 and 39).
BOXES = ("agreed1", "agreed2")


@dataclass(frozen=True)
class SignUpForm:
    """What the form of a publication shows in one language."""

    publication: Publication
    plans: Sequence[PlanView]
    frequency: str
    words: tuple[str, ...]
    locale: str

    @property
    def shown(self) -> ShownText:
        """The words of consent as they are kept for proof."""
        publication = self.publication
        return ShownText(self.locale, "\n".join(self.words), publication.privacy_url, publication.privacy_version)


def form_of(publication: Publication, plans: Sequence[PlanView], words: Mapping[str, str], language: str) -> SignUpForm:
    """Fill in what the form of a publication shows."""
    frequency = publication.frequency or words["weekly"]
    facts = {"publication": publication.name, "frequency": frequency, "sender": publication.sender}
    consent = publication.consent_text.strip() or words["consent"].format(**facts)
    public = tuple(plan for plan in plans if plan.is_public)
    return SignUpForm(publication, public, frequency, (consent, words["transfer"]), LOCALES[language])


@router.api_route("/", methods=["GET", "HEAD"])
def home(visit: Here) -> Response:
    """Show the form of the only publication, or which there are."""
    with visit.service.database.reading() as session:
        publications = list_publications(session)
    if len(publications) == 1:
        return show_form(visit, publications[0].code)
    listed = [{"name": one.name, "url": f"/sign-up/{one.code}"} for one in publications]
    return visit.show("publications", publications=listed)


@router.api_route("/sign-up/{code}", methods=["GET", "HEAD"])
def show_form(visit: Here, code: str) -> Response:
    """Show the form. Changes nothing."""
    if (form := _find(visit, code)) is None:
        return visit.show("publications", status=404, publications=[])
    return _page(visit, form)


@router.post("/sign-up/{code}")
def take_form(visit: Here, code: str, said: Form) -> Response:
    """Take what somebody asks for. Whoever it is, the answer is the same."""
    if (form := _find(visit, code)) is None:
        return visit.show("publications", status=404, publications=[])
    if said.get("website"):
        # Only programs see the field. They are told what a person is told.
        return _sent(visit, code, said)
    if not said:
        return _page(visit, form, said, "bad_form")
    try:
        address = parse_address(said.get("email", ""))
    except InvalidAddress:
        return _page(visit, form, said, "bad_address")
    if not all(said.get(box) == "yes" for box in BOXES):
        return _page(visit, form, said, "agree_first")
    throttle: Throttle = visit.request.app.state.throttle
    if not throttle.lets_in(ip_of(visit.request), address.domain):
        return visit.say("too_many", status=429)
    try:
        _ask(visit, form, said, address)
    except Refused as refusal:
        return _page(visit, form, said, str(refusal))
    return _sent(visit, code, said)


def _ask(visit: Visit, form: SignUpForm, said: Mapping[str, str], address: Address) -> None:
    """Store the request and order its mail, together or not at all.

    Raises:
        Refused: The plan cannot be taken, or other words were shown; the sentence names the words of the page.
    """
    try:
        with visit.service.database.writing() as session:
            wish = _wish(visit, session, form, said, address)
            asked = sign_up(session, wish, hasher=visit.service.hasher, by=READER, now=visit.now)
            _order_mail(visit, session, form, wish, asked)
    except FullMailbox:
        return
    except (RefusedPlan, UnknownPlan):
        raise Refused("bad_plan") from None


def _wish(visit: Visit, session: Session, form: SignUpForm, said: Mapping[str, str], address: Address) -> SignUp:
    """Put together what is asked for, with its proof.

    Raises:
        Refused: The words that were agreed to are none that this publication ever showed.
    """
    publication, agreed_to = form.publication, said.get("words", "")
    if agreed_to == form.shown.sha256:
        text_id = keep_text(session, publication.id, form.shown, now=visit.now)
    elif _SHA256.fullmatch(agreed_to) and (older := find_text(session, publication.id, agreed_to)):
        text_id = older.id
    else:
        raise Refused("words_changed")
    evidence = evidence_of(visit.request, address.typed)
    proof = FormProof(_source(visit), text_id, form.frequency, evidence)
    return SignUp(publication.id, address, proof, said.get("plan") or None, locale=form.locale)


def _order_mail(visit: Visit, session: Session, form: SignUpForm, wish: SignUp, asked: Asked) -> None:
    if asked.asking is Asking.silent or asked.subscription_id is None:
        return
    chosen = next((plan for plan in form.plans if plan.code == wish.plan), form.plans[0])
    first = asked.asking is Asking.confirm
    order = NoticeOrder(
        kind=NoticeKind.confirm if first else NoticeKind.already_subscribed,
        publication_id=wish.publication_id,
        subscription_id=asked.subscription_id,
        live=visit.service.live,
        bucket=visit.service.hasher.hash(canonical(wish.address)),
        opt_in_id=asked.opt_in_id,
        locale=form.locale,
        detail={"plan": chosen.name, "frequency": form.frequency} if first else {},
    )
    if enqueue(session, order, now=visit.now) is None:
        raise FullMailbox


def _source(visit: Visit) -> str:
    """Give the address of the form: ours, and the site that holds it where its browser says so.

    The ledger keeps it for ever: of what a request may say of itself only a host's name is taken.
    """
    ours = visit.service.settings.public_url
    elsewhere = _site(visit.request.headers.get("origin", ""))
    return f"{ours}{visit.request.url.path}" + (f" from {elsewhere}" if elsewhere not in {"", ours} else "")


def _site(origin: str) -> str:
    try:
        parts = urlsplit(origin[:200])
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.scheme in {"http", "https"} and parts.hostname else ""


def _find(visit: Visit, code: str) -> SignUpForm | None:
    with visit.service.database.reading() as session:
        try:
            publication = publication_named(session, code)
        except NotFound:
            return None
        plans = list_plans(session, publication.id)
    return form_of(publication, plans, visit.words, visit.language)


def _page(visit: Visit, form: SignUpForm, said: Mapping[str, str] | None = None, error: str = "") -> Response:
    """Show the form, with what was filled in, and what is wrong with it."""
    said = said or {}
    publication, language = form.publication, visit.language
    return visit.show(
        "sign-up",
        status=422 if error else 200,
        publication=publication.name,
        frequency=form.frequency,
        plans=form.plans,
        chosen=said.get("plan") or (form.plans[0].code if form.plans else ""),
        address=said.get("email", ""),
        words=form.words,
        words_hash=form.shown.sha256,
        privacy_url=publication.privacy_url,
        action=f"/sign-up/{publication.code}?lang={language}",
        archive=f"/issues/{publication.code}/",
        error=visit.words[error] if error else "",
    )


def _sent(visit: Visit, code: str, said: Mapping[str, str]) -> Response:
    """Tell everybody the same; a slip that shows in what was typed is asked about, and nothing is corrected."""
    suggestion = suggestion_for(said.get("email", ""))
    asked = visit.words["did_you_mean"].format(suggestion=suggestion) if suggestion else ""
    return visit.say("sent", links=[(f"/sign-up/{code}", "wrong_address")], asked=asked)
