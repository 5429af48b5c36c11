"""What a link of one publication does, it does there: the same person's other subscription stays as it is.

Two things reach further, and say so on their page: a new address, and leaving everything.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from newsletter.providers.memory import MemoryProvider
from newsletter.signing import Purpose
from subscribers.actors import READER
from subscribers.addresses import parse_address
from subscribers.consent_models import ConsentEvent, OptIn
from subscribers.models import Plan, Subscription
from subscribers.opt_in import FormProof, SignUp, sign_up
from tests.world import addresses, make_world


PERSON = addresses(1)[0]
#: What a person does with the links of the first publication's mails.
ACTS = {
    "one click": ("/u/{id}", {"List-Unsubscribe": "One-Click"}),
    "leaves by the page": ("/u/{id}", {"from": "page", "do": "leave"}),
    "says why": ("/u/{id}", {"from": "page", "do": "why", "reason": "too_many"}),
    "takes it back": ("/u/{id}", {"from": "page", "do": "undo"}),
    "changes plan": ("/preferences/{id}", {"do": "plan", "plan": "short"}),
    "changes plan back": ("/preferences/{id}", {"do": "plan", "plan": "free"}),
    "pauses": ("/preferences/{id}", {"do": "pause", "weeks": "4"}),
    "goes on": ("/preferences/{id}", {"do": "resume"}),
    "signs up": ("", {}),
    "confirms": ("/confirm/{token}", {}),
}


def rows_of(site, publication_id):
    """Every row about the readers of one publication."""
    with site.world.database.reading() as session:
        return [
            [one.model_dump() for one in session.exec(select(model).where(col(model.publication_id) == publication_id))]
            for model in (Subscription, ConsentEvent, OptIn)
        ]


def test_links_act_on_their_own_publication_in_any_order(site):
    here = site.world
    there = make_world(here.database, MemoryProvider(), "other")
    there.readers([PERSON])
    with here.database.writing() as session:
        for world in (here, there):
            session.add(
                Plan(publication_id=world.publication.id, code="short", name="Short", position=9, is_public=True)
            )
    unsubscribe_id, requests = site.reader().unsubscribe_id, [0]
    before, moved = rows_of(site, there.publication.id), rows_of(site, here.publication.id)

    def do(act: str) -> None:
        path, said = ACTS[act]
        if act == "signs up":
            with here.database.writing() as session:
                request = SignUp(here.publication.id, parse_address(PERSON), FormProof("https://n.example.com/"))
                asked = sign_up(session, request, hasher=here.hasher, by=READER, now=site.clock())
            requests.append(asked.opt_in_id or requests[-1])
            return
        token = site.service.signer.sign(Purpose.confirm, requests[-1], at=site.clock())
        site.browser.post(path.format(id=unsubscribe_id, token=token), data=said)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.sampled_from(sorted(ACTS)), min_size=1, max_size=12))
    def in_any_order(acts):
        for act in acts:
            do(act)
        assert rows_of(site, there.publication.id) == before

    in_any_order()
    assert rows_of(site, here.publication.id) != moved


def test_an_id_of_one_publication_names_nobody_on_the_pages_of_another(site):
    there = make_world(site.world.database, MemoryProvider(), "other")
    there.readers([PERSON])
    with site.world.database.reading() as session:
        ids = session.exec(select(Subscription.unsubscribe_id).where(Subscription.subscriber_id == 1)).all()
    assert len(set(ids)) == len(ids) == 2
