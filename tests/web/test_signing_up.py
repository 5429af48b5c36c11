"""Signing up: the same answer whoever asks, one mail to the mailbox, and a proof of what was shown and agreed to."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select

from newsletter.feedback.ingest import apply_events
from newsletter.feedback.models import ListRemoval
from newsletter.providers.feedback import FeedbackEvent, FeedbackKind
from newsletter.publications import PublicationForm, add_publication, set_publication
from newsletter.signing import Purpose
from newsletter.web.throttle import PER_OWN_DOMAIN, Throttle
from subscribers import suppression
from subscribers.actors import COMMAND_LINE, READER
from subscribers.client_evidence import ClientEvidence
from subscribers.consent_models import ConsentEvent, ConsentEvidence, ConsentText
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import Subscriber, SubscriptionState, SuppressionReason
from subscribers.plans import NewPlan, add_plan
from subscribers.suppression import SuppressionOrder
from tests.people import complain
from tests.world import addresses


NEW = "Neu.Leser@example.org"
KNOWN, OTHER = addresses(2)
ENGLISH = {"accept-language": "en"}


def hidden(page, name):
    (value,) = re.findall(rf'name="{name}" value="([^"]*)"', page)
    return value


@pytest.fixture
def ask(site):
    """Fill in the form as a person would: what it holds, an address, and the boxes."""

    def _ask(address=NEW, *, headers=ENGLISH, leave_out=(), **said):
        page = site.browser.get("/", headers=headers).text
        form = {"email": address, "words": hidden(page, "words"), "website": "", "agreed1": "yes", "agreed2": "yes"}
        form = {name: value for name, value in (form | said).items() if name not in leave_out}
        return site.browser.post("/sign-up/weekly", data=form, headers=headers)

    return _ask


def test_a_slip_that_shows_is_asked_about_and_never_corrected(site, ask):
    answer = ask("Neu@gmial.com")
    assert "Did you mean Neu@gmail.com?" in answer.text
    assert site.reader("neu@gmial.com").state is SubscriptionState.pending
    assert "Did you mean" not in ask(NEW).text
    # Programs are told what a person is told.
    assert "Did you mean Neu@gmail.com?" in ask("Neu@gmial.com", website="x").text
    assert "你是不是想写 neu@163.com？" in ask("neu@163.con", headers={"accept-language": "zh"}).text


@pytest.fixture
def end(site):
    """Bring the reader of a standing that is no stranger's."""

    def _end(standing):
        world, view = site.world, site.reader(KNOWN)
        with world.database.writing() as session:
            if standing == "left":
                leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=world.clock())
            if standing == "complained":
                complain(session, view.id, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())
            if standing == "bounced":
                order = SuppressionOrder(KNOWN, SuppressionReason.hard_bounce)
                suppression.add(session, order, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())

    return _end


def test_a_stranger_signs_up_and_confirms(site, ask):
    answer = ask()
    assert (answer.status_code, "Please confirm in your mailbox" in answer.text) == (200, True)
    assert site.reader(NEW).state is SubscriptionState.pending
    (notice,) = site.notices()
    assert (notice.kind, notice.locale, notice.detail) == ("confirm", "en", {"plan": "free", "frequency": "weekly"})
    page = site.browser.get(site.confirm_link(), headers=ENGLISH)
    assert (page.status_code, page.text.count("<button")) == (200, 1)
    done = site.browser.post(site.confirm_link(), headers=ENGLISH)
    assert (done.status_code, "You are subscribed" in done.text) == (200, True)
    assert site.reader(NEW).state is SubscriptionState.confirmed
    assert [notice.kind for notice in site.notices()] == ["confirm", "welcome"]


@pytest.mark.parametrize("standing", ["reading", "left", "complained", "bounced"])
def test_the_answer_is_the_same_whoever_is_asked_for(site, ask, end, standing):
    stranger = ask()
    end(standing)
    known = ask(KNOWN)
    assert (known.status_code, known.text, dict(known.headers)) == (200, stranger.text, dict(stranger.headers))


@pytest.mark.parametrize(
    ("standing", "kinds"),
    [("reading", ["already_subscribed"]), ("left", ["confirm"]), ("complained", []), ("bounced", [])],
)
def test_only_the_mailbox_is_told(site, ask, end, standing, kinds):
    end(standing)
    ask(KNOWN)
    assert [notice.kind for notice in site.notices()] == kinds


def test_the_ledger_proves_what_was_shown_and_agreed_to(site, ask):
    with site.world.database.writing() as session:
        form = PublicationForm(privacy_url="https://news.example.com/privacy", privacy_version="2026-11")
        set_publication(session, "weekly", form)
    ask(headers=ENGLISH | {"origin": "https://blog.example.net", "user-agent": "Agent " * 20})
    with site.world.database.reading() as session:
        event = session.exec(select(ConsentEvent).where(ConsentEvent.kind == "asked")).one()
        evidence = session.get_one(ConsentEvidence, event.id)
        words = session.get_one(ConsentText, event.consent_text_id)
    assert event.source.endswith("/sign-up/weekly from https://blog.example.net")
    assert (event.frequency, event.locale) == ("weekly", "en")
    assert words.text.startswith("I agree to receive “测试刊” by email (weekly), sent by weekly@news.example.com.")
    assert "Twilio SendGrid (USA)" in words.text
    assert (words.version, words.privacy_url, words.privacy_version) == (
        1,
        "https://news.example.com/privacy",
        "2026-11",
    )
    assert (evidence.address_typed, len(evidence.user_agent)) == (NEW, 60)


@pytest.mark.parametrize(
    ("kept", "ip", "agent"),
    [
        (ClientEvidence.full, "203.0.113.77", "Mozilla/5.0"),
        (ClientEvidence.truncated, "203.0.113.0", "Mozilla/5.0"),
        (ClientEvidence.off, "", ""),
    ],
)
def test_as_much_is_kept_of_a_connection_as_the_settings_say(site, ask, kept, ip, agent):
    settings = site.service.settings.model_copy(update={"client_evidence": kept})
    site.browser.app.state.service = replace(site.service, settings=settings)
    site.browser._transport.client = ("203.0.113.77", 40000)  # noqa: SLF001 - where the test's browser connects from
    ask(headers=ENGLISH | {"user-agent": "Mozilla/5.0", "x-forwarded-for": "198.51.100.1"})
    with site.world.database.reading() as session:
        evidence = session.exec(select(ConsentEvidence)).one()
    assert (evidence.ip, evidence.user_agent) == (ip, agent)
    site.browser.app.state.service.database.close()


@pytest.mark.parametrize("address", ["", "not an address", "a@localhost", "<script>alert(1)</script>@x", "a" * 400])
def test_a_bad_address_is_told_with_the_form_filled_in(site, ask, address):
    answer = ask(address)
    assert (answer.status_code, "No mail can reach this address" in answer.text) == (422, True)
    assert "<script>alert" not in answer.text
    assert len(site.notices()) == 0


@pytest.mark.parametrize("box", ["agreed1", "agreed2"])
def test_nobody_agrees_by_leaving_a_box_open(site, ask, box):
    answer = ask(leave_out=[box])
    assert (answer.status_code, "tick each" in answer.text, NEW in answer.text) == (422, True, True)
    assert site.notices() == []


def test_no_box_is_ticked_beforehand(site):
    boxes = re.findall(r'<input type="checkbox"[^>]*>', site.browser.get("/").text)
    assert len(boxes) == 2
    assert not any("checked" in box for box in boxes)


def test_words_that_were_never_shown_prove_nothing(site, ask):
    answer = ask(words="0" * 64)
    assert (answer.status_code, "words of consent have changed" in answer.text) == (422, True)
    assert site.notices() == []


def test_words_that_were_shown_before_still_count(site, ask):
    ask(OTHER)
    before = hidden(site.browser.get("/", headers=ENGLISH).text, "words")
    with site.world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(frequency="every Monday"))
    assert hidden(site.browser.get("/", headers=ENGLISH).text, "words") != before
    ask(words=before)
    ask("third@example.org")
    with site.world.database.reading() as session:
        versions = session.exec(select(ConsentText.version).order_by(col(ConsentText.version))).all()
        asked = session.exec(select(ConsentEvent.consent_text_id).where(ConsentEvent.kind == "asked")).all()
    assert (list(versions), len(asked)) == ([1, 2], 2)


def test_an_operators_own_words_take_the_place_of_ours(site, ask):
    with site.world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(consent_text="Send me the weekly, please."))
    ask()
    with site.world.database.reading() as session:
        assert session.exec(select(ConsentText.text)).one().startswith("Send me the weekly, please.\n")


def test_a_program_that_fills_in_everything_is_told_what_a_person_is_told(site, ask):
    person, program = ask("a@example.org"), ask("b@example.org", website="https://spam.example")
    assert program.text == person.text
    assert len(site.notices()) == 1


def test_plans_by_invitation_are_neither_shown_nor_taken(site, ask):
    assert 'value="pro"' not in site.browser.get("/").text
    answer = ask(plan="pro")
    assert (answer.status_code, "cannot be chosen" in answer.text) == (422, True)
    assert site.notices() == []


def test_one_mailbox_gets_three_mails_a_day_however_it_is_spelled(site, ask):
    spellings = [
        "victim@gmail.com",
        "v.i.c.tim@gmail.com",
        "victim+1@gmail.com",
        "VICTIM+2@googlemail.com",
        "victim@gmail.com",
    ]
    site.browser.app.state.throttle = Throttle()
    answers = [ask(address) for address in spellings]
    assert {answer.status_code for answer in answers} == {200}
    assert len(site.notices()) == 3
    with site.world.database.reading() as session:
        assert len(session.exec(select(Subscriber)).all()) == 2 + 3
    site.clock.forward(timedelta(hours=25).total_seconds())
    site.browser.app.state.throttle = Throttle()
    ask("victim@gmail.com")
    assert len(site.notices()) == 4


def test_one_place_cannot_go_on_for_ever(site, ask):
    site.browser._transport.client = ("203.0.113.77", 40000)  # noqa: SLF001 - where the test's browser connects from
    answers = [ask(f"r{number}@example.org") for number in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert "try again later" in answers[-1].text
    assert len(site.notices()) == 5


@pytest.mark.parametrize(("one", "other"), [("2001:db8::1", "2001:db8::2"), ("203.0.113.7", "203.0.113.7")])
def test_a_customer_of_ipv6_is_one_place(one, other):
    throttle = Throttle()
    assert [throttle.lets_in(one, "a.example") for _ in range(6)][-1] is False
    assert throttle.lets_in(other, "b.example") is False


def test_a_domain_has_its_limit_and_the_large_ones_another():
    throttle = Throttle()
    let_in = [throttle.lets_in("", "company.example") for _ in range(PER_OWN_DOMAIN.amount + 1)]
    assert (let_in[-2], let_in[-1]) == (True, False)
    assert all(throttle.lets_in("", "qq.com") for _ in range(PER_OWN_DOMAIN.amount + 1))


def test_several_publications_are_listed_and_each_has_its_form(site):
    with site.world.database.writing() as session:
        form = PublicationForm(name="另一份", sender="other@news.example.com")
        other = add_publication(session, "other", form, now=site.clock())
        add_plan(session, NewPlan(other.id, "basic"))
    page = site.browser.get("/").text
    assert 'href="/sign-up/weekly"' in page
    assert 'href="/sign-up/other"' in page
    assert "另一份" in site.browser.get("/sign-up/other").text
    assert site.browser.get("/sign-up/none").status_code == 404
    assert site.browser.post("/sign-up/none").status_code == 404


def test_looking_changes_nothing(site, ask):
    ask()
    link, before = site.confirm_link(), site.everything()
    for path in ("/", "/sign-up/weekly", link, f"/preferences/{site.reader(NEW).unsubscribe_id}"):
        for method in ("GET", "HEAD"):
            assert site.browser.request(method, path).status_code == 200
            site.browser.request(method, f"{path}?from=page&do=leave&email={NEW}")
    assert site.everything() == before


@pytest.mark.parametrize("body", [b"", b"x" * 20_000, b"\xff\xfe=1", b"email=%00%0d%0a", b"&" * 9_000])
def test_any_body_is_answered_in_order(site, body):
    answer = site.browser.post(
        "/sign-up/weekly", content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 422


def test_who_is_on_sendgrids_own_list_is_taken_off_it_by_confirming(site, ask):
    said = FeedbackEvent(FeedbackKind.listed, "unsubscribes", address=NEW, at=site.clock())
    with site.world.database.writing() as session:
        apply_events(session, [said], site.service.feedback_scene, received_at=site.clock())
    site.clock.forward(60)
    ask()
    site.browser.post(site.confirm_link())
    with site.world.database.reading() as session:
        assert [one.list_name for one in session.exec(select(ListRemoval))] == ["unsubscribes"]


def test_confirming_twice_says_so_and_welcomes_once(site, ask):
    ask()
    link = site.confirm_link()
    site.browser.post(link)
    again = site.browser.post(link, headers=ENGLISH)
    assert "already subscribed" in again.text
    assert [notice.kind for notice in site.notices()] == ["confirm", "welcome"]
    assert "already subscribed" in site.browser.get(link, headers=ENGLISH).text


def test_a_link_ends_after_seven_days(site, ask):
    ask()
    link = site.confirm_link()
    site.clock.forward(timedelta(days=7, seconds=1).total_seconds())
    for method in ("GET", "POST"):
        answer = site.browser.request(method, link, headers=ENGLISH)
        assert (answer.status_code, "expired" in answer.text) == (410, True)
    assert site.reader(NEW).state is SubscriptionState.pending


def test_a_link_of_before_leaving_says_that_it_has_ended(site, ask):
    ask()
    link = site.confirm_link()
    site.browser.post(f"/u/{site.reader(NEW).unsubscribe_id}")
    for method in ("GET", "POST"):
        answer = site.browser.request(method, link, headers=ENGLISH)
        assert (answer.status_code, "has ended" in answer.text) == (410, True)
    assert site.reader(NEW).state is SubscriptionState.left


def test_no_character_of_a_link_can_be_changed(site, ask):
    ask()
    link, before = site.confirm_link(), site.everything()
    token = link.removeprefix("/confirm/")
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        answer = site.browser.post(f"/confirm/{token[:place]}{other}{token[place + 1 :]}")
        assert answer.status_code in {404, 410}
    assert site.everything() == before


def test_a_request_of_one_kind_is_not_confirmed_by_the_link_of_another(site, ask):
    ask()
    notice = site.notices()[0]
    token = site.service.signer.sign(Purpose.change_address, notice.opt_in_id, at=notice.created_at)
    assert site.browser.post(f"/confirm/{token}").status_code == 410
    assert site.reader(NEW).state is SubscriptionState.pending


def test_pages_speak_the_language_that_is_asked_for(site):
    assert "订阅《测试刊》" in site.browser.get("/", headers={"accept-language": "zh-TW,en"}).text
    assert "订阅《测试刊》" in site.browser.get("/", headers={"accept-language": "fr"}).text
    assert "Subscribe to" in site.browser.get("/?lang=en", headers={"accept-language": "zh"}).text
