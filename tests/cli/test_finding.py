"""`subscribers find`: a mail that comes back, however it was forwarded, names the subscription it was sent to."""

import base64
import json
import quopri
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.composition import Service
from newsletter.forwarded_mail import clues_in
from newsletter.settings import Settings
from newsletter.signing import Purpose
from tests.flows.serving import stored_world
from tests.known_person import EMAIL, sign_up_known


SITE = "https://n.example.com"
ID = "aZ09_-aZ09_-aZ09_-aZ09"
LINK = f"{SITE}/u/{ID}"
SAFE = f"https://eur01.safelinks.protection.outlook.com/?url={quote(LINK, safe='')}&data=05%7C02%7C&reserved=0"


def mail(text="", html="", **headers):
    made = EmailMessage(policy=SMTP)
    made["Subject"], made["From"] = "Fwd: 周报", "somebody@example.net"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text or "see below")
    if html:
        made.add_alternative(html, subtype="html")
    return made


def original():
    return mail("the text", List_Unsubscribe=f"<{LINK}>")


def attached():
    outer = mail("I never subscribed!")
    outer.add_attachment(original())
    return outer.as_bytes()


def attached_as_file():
    outer = mail("I never subscribed!")
    outer.add_attachment(original().as_bytes(), maintype="application", subtype="octet-stream", filename="mail.eml")
    return outer.as_bytes()


def attached_in_base64():
    """As some gateways do, though RFC 2046 §5.2.1 forbids it."""
    boundary, inner = "b0", base64.encodebytes(original().as_bytes()).decode()
    return (
        f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
        f"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{inner}\r\n--{boundary}--\r\n"
    ).encode()


def attached_thrice():
    inner = original()
    for _ in range(3):
        outer = mail("Fwd")
        outer.add_attachment(inner)
        inner = outer
    return inner.as_bytes()


def encoded(charset, cte, subtype="html"):
    part = MIMEPart(policy=SMTP)
    body = f"<a href='{LINK}'>退订</a>"
    part.set_content(body.encode(charset), "text", subtype, cte=cte)
    part.set_param("charset", charset)
    return part.as_bytes()


def broken(at):
    """As a mail program quotes a long link: cut somewhere, with the rest behind the next mark."""
    line = f"退订，立即生效: {LINK}"
    return mail(f"never!\n\n> {line[:at]}\n> {line[at:]}\n> \n> 测试刊 · 示例路 1 号\n").as_bytes()


FORWARDS = {
    "its own header": original().as_bytes(),
    "as a mail": attached(),
    "as a file": attached_as_file(),
    "as a mail in Base64": attached_in_base64(),
    "in forwards of forwards": attached_thrice(),
    "inline": mail(f"never!\n\n> > 退订: {LINK}\n").as_bytes(),
    "inline, at the end of a sentence": mail(f"What is {LINK}?").as_bytes(),
    "preferences only": mail(f"> {SITE}/preferences/{ID}").as_bytes(),
    "HTML with entities": mail(html=f'<a href="{LINK.replace("/", "&#x2F;")}">x</a>').as_bytes(),
    "wrapped by a gateway": mail(html=f'<a href="{SAFE.replace("&", "&amp;")}">x</a>').as_bytes(),
    "wrapped by two": mail(html=f'<a href="https://w.example.com/?u={quote(SAFE, safe="")}">x</a>').as_bytes(),
    "GB18030 in Base64": encoded("gb18030", "base64"),
    "UTF-16": encoded("utf-16", "base64"),
    "quoted-printable": encoded("utf-8", "quoted-printable"),
    "a charset nobody knows": encoded("utf-8", "base64").replace(b"utf-8", b"x-martian"),
    "source pasted inline": mail(quopri.encodestring(f"<a href='{LINK}'>{'x' * 60}</a>".encode()).decode()).as_bytes(),
    "broken within the id": broken(45),
    "text alone": f"退订: {LINK}\n".encode(),
    "Windows line ends": f"Subject: x\r\n\r\n> {LINK[:30]}\r\n> {LINK[30:]}\r\n".encode(),
}


@pytest.mark.parametrize("how", FORWARDS)
def test_the_link_is_found_however_the_mail_was_forwarded(how):
    assert ID in clues_in(FORWARDS[how]).unsubscribe_ids


@pytest.mark.parametrize("at", range(10, 10 + len(LINK), 3))
def test_a_link_that_was_broken_anywhere_is_found(at):
    assert ID in clues_in(broken(at)).unsubscribe_ids


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_are_too_bad_to_be_read(content, within):
    made = FORWARDS["as a mail"]
    clues_in(made[: len(made) // 2] + content + made[len(made) // 2 :] if within else content)


@pytest.fixture
def world(tmp_path):
    folder = tmp_path / ".newsletter"
    folder.mkdir()
    world = stored_world(folder)
    world.clock.now = world.clock.now.replace(2020, 11, 23, 1, 0, 0, 0)
    yield world
    world.database.close()


@pytest.fixture
def known(world):
    return sign_up_known(world)


@pytest.fixture
def unsubscribe_id(world, known):
    with world.database.reading() as session:
        return session.connection().exec_driver_sql("SELECT unsubscribe_id FROM subscription").scalar_one()


@pytest.fixture
def find(run, tmp_path):
    def _find(content, *words):
        (tmp_path / "mail.eml").write_bytes(content)
        return run("subscribers", "find", "--mail", "mail.eml", *words)

    return _find


def test_who_never_subscribed_is_told_how_it_came(find, unsubscribe_id):
    answer = find(FORWARDS["as a mail"].replace(ID.encode(), unsubscribe_id.encode()))
    assert answer.returncode == 0, answer.stderr
    printed = " ".join(answer.stdout.split())
    for said in (
        "测试刊",
        "W***@q**.com",
        "confirmed",
        "2020-11-23 01:00 UTC, asked for on the form https://news.example.com/sign-up/weekly",
        "confirmed 2020-11-23 01:00 UTC (confirm link)",
        "newsletter subscribers find --id 1",
        "subscribers erase ADDRESS",
    ):
        assert said in printed, said
    assert EMAIL not in answer.stdout + answer.stderr
    assert unsubscribe_id not in answer.stdout + answer.stderr


def test_a_confirming_mail_names_it_by_its_token_also_when_that_has_expired(find, known, tmp_path, world):
    service = Service(Settings(_env_file=None, data_dir=tmp_path / ".newsletter"))
    for purpose, path, ids in (
        (Purpose.confirm, "confirm", (1,)),
        (Purpose.read, "read", (known.subscription_id, 7)),
        (Purpose.sign_in, "issues/weekly/sign-in", (known.subscription_id,)),
    ):
        token = service.signer.sign(purpose, *ids, at=world.clock())
        answer = find(mail(f"What is this?\n> {SITE}/{path}/{token}\n").as_bytes(), "--json")
        assert [one["id"] for one in json.loads(answer.stdout)] == [known.subscription_id], path
        forged = find(mail(f"> {SITE}/{path}/{token[:-1]}{'A' if token[-1] != 'A' else 'E'}\n").as_bytes())
        assert forged.returncode == 1


def test_several_subscriptions_are_all_named_once_each(find, world, known, unsubscribe_id):
    world.readers(["second@example.org"])
    with world.database.reading() as session:
        ids = (
            session.connection().exec_driver_sql("SELECT unsubscribe_id FROM subscription ORDER BY id").scalars().all()
        )
    text = " ".join(f"{SITE}/u/{one} {SITE}/preferences/{one}" for one in ids)
    answer = find(mail(text).as_bytes())
    assert "The mail names 2 subscriptions (1, 2)" in answer.stdout
    assert "s***@e**.org" in answer.stdout
    assert "imported from test.csv, row 2: test" in answer.stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (FORWARDS["as a mail"], "holds no link of ours"),
        (b"", "holds no link of ours"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "Outlook"),
    ],
)
def test_a_mail_that_names_nobody_is_answered_clearly(find, known, content, says):
    answer = find(content)
    assert answer.returncode == 1
    assert says in answer.stderr


def test_a_file_that_is_not_there_is_named(run, known):
    answer = run("subscribers", "find", "--mail", "none.eml")
    assert (answer.returncode, "none.eml" in answer.stderr) == (1, True)


def test_by_address_and_by_number(run, known):
    by_address = json.loads(run("subscribers", "find", EMAIL.upper(), "--json").stdout)
    by_number = json.loads(run("subscribers", "find", "--id", "1", "--json").stdout)
    assert by_address == by_number
    assert [one["address"] for one in by_number] == [EMAIL]
    assert run("subscribers", "find", "--id", "2").returncode == 1
    assert run("subscribers", "find", "nobody@example.com").returncode == 1


@pytest.mark.parametrize("words", [[], ["a@example.com", "--id", "1"], ["--id", "1", "--mail", "x.eml"]])
def test_one_way_of_finding_is_asked_for(run, known, words):
    assert run("subscribers", "find", *words).returncode == 2


def test_of_an_erased_reader_is_said_that_nothing_is_known(find, run, unsubscribe_id):
    run("subscribers", "erase", EMAIL, "--yes")
    answer = find(mail(f"{SITE}/u/{unsubscribe_id}").as_bytes(), "--json")
    (found,) = json.loads(answer.stdout)
    assert (found["state"], found["address"]) == ("forgotten", "")
