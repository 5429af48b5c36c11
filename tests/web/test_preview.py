"""The preview shows a file as readers will see it, in every view, and follows it."""

import pytest
from fastapi.testclient import TestClient

from newsletter.issues.document import decode
from newsletter.web.preview import Look, View, create_preview
from tests.mails import TEMPLATES, edition


SOURCE = "# 标题\n\n**没有关上\n\n公开的一段。\n\n::: plan pro\n只有专业版读者能读到的一段。\n:::"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weekly.md"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture
def browser(file):
    look = Look(lambda: edition(decode(file.read_bytes())), file, watch=True)
    with TestClient(create_preview(look, TEMPLATES), headers={"accept-language": "en"}) as client:
        yield client


def test_the_page_frames_the_mail_beside_the_findings(browser):
    page = browser.get("/").text
    assert 'src="/mail?plan=free&amp;view=phone"' in page
    assert "leftover-markdown" in page
    assert "close or complete the mark" in page
    assert page.count('aria-current="true"') == 2


def test_each_plan_sees_its_own_cut(browser):
    assert "只有专业版读者" not in browser.get("/mail", params={"plan": "free"}).text
    assert "只有专业版读者" in browser.get("/mail", params={"plan": "pro"}).text


def test_the_views_differ_in_what_a_program_makes_of_the_mail(browser):
    mails = {view: browser.get("/mail", params={"view": view}) for view in View}
    assert "@media all" in mails[View.dark].text
    assert "prefers-color-scheme" not in mails[View.phone].text
    assert "<style" not in mails[View.bare].text
    assert mails[View.text].headers["content-type"].startswith("text/plain")
    for mail in mails.values():
        assert "sandbox" in mail.headers["content-security-policy"]
        assert "读者，你好" in mail.text


def test_a_saved_file_has_another_version_and_shows_anew(browser, file):
    before = browser.get("/version").json()
    file.write_text("# 新标题\n\n一段。", encoding="utf-8")
    assert browser.get("/version").json() != before
    assert "新标题" in browser.get("/").text


def test_a_file_that_cannot_be_read_is_told_on_the_page_and_mended_there(browser, file):
    file.write_text("# 标题\n\n::: plan pro\n一段。", encoding="utf-8")
    page = browser.get("/").text
    assert "line 3" in page
    assert 'role="alert"' in page
    assert browser.get("/mail").status_code == 404
    file.unlink()
    assert browser.get("/version").status_code == 200


def test_a_view_that_there_is_not_is_refused(browser):
    assert browser.get("/", params={"view": "x-ray"}).status_code == 422
