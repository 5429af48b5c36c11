"""What a notice says: its link once in both parts, nobody's address, and nothing that could break a header."""

import itertools
import re
import shutil
from email import message_from_bytes
from email.policy import default

import pytest

from newsletter.database import Database
from newsletter.errors import Misconfigured
from newsletter.notices.rendering import render_notice
from newsletter.notices.samples import sample_letter
from newsletter.outbox import NoticeKind
from newsletter.providers.sendgrid import request_body
from newsletter.publications import Publication
from newsletter.rendering.mail import links_in
from newsletter.rendering.themes import load_notice_theme
from tests.mails import NOTICE_THEME, TEMPLATES
from tests.office import NEW_ADDRESS, OLD_ADDRESS, READER_ADDRESS, SITE, addresses_of, make_office
from tests.referees.mails import as_sent
from tests.world import HandClock


LOCALES = ["zh-CN", "en"]
LIST_KINDS = {NoticeKind.welcome, NoticeKind.renewal, NoticeKind.plan_changed}
PUBLICATION = Publication(
    id=1,
    code="weekly",
    name="测试刊",
    sender="weekly@news.example.com",
    reply_to="editor@news.example.com",
    site_url="https://news.example.com",
    postal_address="示例市示例路 1 号",
    created_at=HandClock()(),
)
BOTH = [pytest.param(kind, locale, id=f"{kind} {locale}") for kind in NoticeKind for locale in LOCALES]


@pytest.fixture(scope="module")
def every(blank_sqlite, tmp_path_factory):
    """A request of every kind in both languages, as it was handed to the provider."""
    file = shutil.copy(blank_sqlite, tmp_path_factory.mktemp("every") / "newsletter.db")
    office = make_office(Database(f"sqlite:///{file}"))
    mails = {}
    for kind, locale in itertools.product(NoticeKind, LOCALES):
        office.put(kind, locale=locale)
        office.send()
        mails[kind, locale] = office.provider.accepted[-1]
    office.world.database.close()
    return mails


@pytest.fixture
def sent(small_office):
    """Send a notice of a kind, and give the request."""

    def send(kind, locale="zh-CN", **changes):
        small_office.put(kind, locale=locale, **changes)
        small_office.send()
        return small_office.provider.accepted[-1]

    return send


@pytest.mark.parametrize(("kind", "locale"), BOTH)
def test_every_kind_says_where_it_leads_once_in_each_part(every, kind, locale):
    mail = every[kind, locale]
    links = links_in(mail.html)
    assert len(links) == len(set(links))
    assert links
    assert re.findall(r"https://\S+", mail.text) == links
    for link in links:
        assert mail.html.count(link) == 1
    assert len(links) == 1 + (kind in LIST_KINDS) + (kind is NoticeKind.renewal)


@pytest.mark.parametrize("kind", NoticeKind)
def test_no_link_of_a_notice_is_counted(every, kind):
    mail = every[kind, "en"]
    tracking = request_body(mail)["tracking_settings"]
    assert (tracking["click_tracking"]["enable"], tracking["open_tracking"]["enable"]) == (False, False)
    anchors = re.findall(r"<a ([^>]*?)href=", mail.html)
    assert len(anchors) == len(links_in(mail.html))
    # Before `href`: elsewhere SendGrid does not heed it.
    assert all('clicktracking="off"' in one for one in anchors)


@pytest.mark.parametrize(("kind", "locale"), BOTH)
def test_no_address_stands_anywhere_but_in_the_envelope(every, kind, locale):
    mail = every[kind, locale]
    going, masked = addresses_of(kind)
    (reader,) = mail.recipients
    assert (reader.address, reader.name) == (going, "")
    everything = "".join(
        [mail.html, mail.text, mail.subject, str(mail.headers), str(reader.headers), str(reader.custom_args)]
    )
    assert masked in mail.html
    assert masked in mail.text
    without_masked = re.sub(r"\w\*\*\*@\w\*\*\.\w+", "", everything)
    assert "@" not in without_masked.replace("@media", "")
    for address in (READER_ADDRESS, NEW_ADDRESS, OLD_ADDRESS):
        assert address.partition("@")[0] not in everything


@pytest.mark.parametrize(("kind", "locale"), BOTH)
def test_every_kind_is_in_the_readers_language_and_in_unicode(every, kind, locale):
    mail = every[kind, locale]
    assert f'lang="{locale}"' in mail.html
    for part in (mail.html, mail.text):
        # Else SendGrid sends it as Latin-1, and Gmail clips it.
        assert any(ord(character) > 0xFF for character in part)
    own_words = re.sub(r"《.*?》|“.*?”|测试刊.*|示例.*|第一期|专业版|免费版|每周一", "", mail.subject + mail.text)
    assert bool(re.search("[一-鿿]", own_words)) is (locale == "zh-CN")


@pytest.mark.parametrize(("kind", "locale"), BOTH)
def test_the_text_is_real_text(every, kind, locale):
    text = every[kind, locale].text
    assert not re.search(r"</?\w+>|&\w+;|\{|\}|None", text)
    assert "\n\n\n" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert "示例市示例路 1 号" in text


@pytest.mark.parametrize("kind", NoticeKind)
def test_only_mail_of_a_running_subscription_carries_the_way_out(every, kind):
    mail = every[kind, "en"]
    (reader,) = mail.recipients
    assert mail.headers["Auto-Submitted"] == "auto-generated"
    assert "Precedence" not in mail.headers
    raw = message_from_bytes(as_sent(mail), policy=default)
    if kind in LIST_KINDS:
        assert re.fullmatch(rf"<{SITE}/u/[\w-]{{22}}>", raw["List-Unsubscribe"])
        assert raw["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert raw["List-Id"] == "<weekly.news.example.com>"
        assert raw["List-Unsubscribe"].strip("<>") in links_in(mail.html)
    else:
        assert not [name for name in raw.keys() if name.startswith("List-")]  # noqa: SIM118 - a mail's headers
        assert dict(reader.headers) == {}


def test_what_was_shown_at_sign_up_is_shown_and_what_is_empty_is_left_out(sent):
    mail = sent(NoticeKind.confirm, "en", detail={"plan": "Pro <&>", "frequency": ""})
    assert "Pro &lt;&amp;&gt;" in mail.html
    assert "Plan: Pro <&>\n" in mail.text
    assert "Frequency" not in mail.text + mail.html


def test_a_title_with_line_ends_breaks_no_header(sent):
    title = "One\r\nBcc: all\u2028Two {plan} {nothing}"
    mail = sent(NoticeKind.read_again, "en", detail={"mailing_id": "7", "title": title})
    assert mail.subject == "Your link to read: One Bcc: all Two {plan} {nothing}"


def test_a_renewal_leads_to_the_plans_page_else_the_publications_else_nowhere(small_office, sent):
    detail = {"plan": "Pro", "until": "2026-12-01", "then": "Free", "upgrade_url": ""}
    assert "Renew" not in sent(NoticeKind.renewal, "en", detail=detail).html
    small_office.change("publication", small_office.world.publication.id, "upgrade_url = 'https://pay.example.com/x'")
    mail = sent(NoticeKind.renewal, "en", detail=detail)
    assert links_in(mail.html)[0] == "https://pay.example.com/x"
    detail["upgrade_url"] = "https://pay.example.com/pro"
    assert links_in(sent(NoticeKind.renewal, "en", detail=detail).html)[0] == "https://pay.example.com/pro"


def test_a_language_that_we_do_not_speak_gets_english_and_says_so(sent):
    mail = sent(NoticeKind.welcome, "fr-FR")
    assert mail.subject == "Welcome to “测试刊”"
    assert 'lang="en"' in mail.html


def test_a_confirmation_says_until_when_it_works_in_the_publications_zone(sent):
    assert "至 2026-11-30 09:00（Asia/Shanghai）" in sent(NoticeKind.confirm).text


@pytest.mark.parametrize("kind", NoticeKind)
def test_a_sample_is_like_the_real_one(every, kind):
    shown = render_notice(sample_letter(kind, PUBLICATION, "en", NOTICE_THEME, now=HandClock()()), NOTICE_THEME)
    assert len(links_in(shown.html)) == len(links_in(every[kind, "en"].html))


@pytest.fixture
def overlay(tmp_path):
    (tmp_path / "notices").mkdir()

    def lay(name, content):
        (tmp_path / "notices" / name).write_text(content, encoding="utf-8")
        return load_notice_theme(TEMPLATES, tmp_path)

    return lay


def test_an_operators_words_are_laid_over_ours(overlay):
    theme = overlay("words.yaml", "en:\n  welcome:\n    button: My settings\nja:\n  leave: 退会\n")
    letter = sample_letter(NoticeKind.welcome, PUBLICATION, "en", theme, now=HandClock()())
    assert "My settings" in render_notice(letter, theme).text
    letter = sample_letter(NoticeKind.welcome, PUBLICATION, "ja", theme, now=HandClock()())
    assert "退会" in render_notice(letter, theme).text


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("words.yaml", "en:\n  welcom:\n    button: x\n", r"nothing is called en\.welcom"),
        ("words.yaml", "en:\n  welcome:\n    buton: x\n", r"nothing is called en\.welcome\.buton"),
        ("words.yaml", "zh:\n  confirm:\n    text: ['{publisher}']\n", r"zh\.confirm\.text cannot be filled"),
        ("words.yaml", "zh:\n  confirm:\n    after: 一句\n", r"zh\.confirm\.after must be a list"),
        ("notice.text.j2", "", r"notice\.text\.j2, which no mail is made with"),
        ("notice.txt.j2", "一\n{% if %}\n", r"notice\.txt\.j2, line 2"),
    ],
)
def test_what_is_broken_in_an_operators_folder_is_named_when_it_is_loaded(overlay, name, content, says):
    with pytest.raises(Misconfigured, match=says):
        overlay(name, content)


def test_a_template_that_gives_no_mail_is_named_with_its_line(overlay):
    ours = (TEMPLATES / "notices" / "notice.mjml.j2").read_text(encoding="utf-8")
    theme = overlay("notice.mjml.j2", ours.replace("</mj-head>", "</mj-haed>"))
    line = 1 + ours[: ours.index("</mj-head>")].count("\n")
    letter = sample_letter(NoticeKind.confirm, PUBLICATION, "en", theme, now=HandClock()())
    with pytest.raises(Misconfigured, match=rf"notice\.mjml\.j2, line {line}"):
        render_notice(letter, theme)


def test_a_brand_colour_and_a_logo_are_shown(small_office, sent):
    values = "brand_color = '#0b5c8a', logo_url = 'https://news.example.com/logo.png'"
    small_office.change("publication", small_office.world.publication.id, values)
    html = sent(NoticeKind.confirm).html
    assert "background-color:#0b5c8a" in html
    assert 'src="https://news.example.com/logo.png"' in html
