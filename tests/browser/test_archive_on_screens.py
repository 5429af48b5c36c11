"""The archive in a real browser: as wide as the screen, open to everyone, read by keyboard and without JavaScript."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from newsletter.issues.document import decode
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, set_publication
from newsletter.signing import Purpose
from tests.mails import SAMPLE_ISSUE, SHOWCASE
from tests.referees.tools import node_file
from tests.served import served
from tests.world import SIGNER, World, addresses, make_world


#: A and AA of every WCAG, and what axe asks of a page of the web beside: landmarks, the order of headings.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {
    "runOnly": {"type": "tag", "values": TAGS},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations", "incomplete"],
}
#: The site and the pages to look at: a list, what a search found, an issue with everything, and signing in.
PATHS = ["/issues/", "/issues/?q=公交", "/issues/weekly/2", "/issues/weekly/1", "/issues/weekly/sign-in", "{signed}"]
SCREENS = pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1200, "light"), (1200, "dark")])

pytestmark = pytest.mark.browser


@dataclass
class Site:
    """A running archive of two issues, with a reader of each plan."""

    url: str
    world: World

    def sign_in(self, number: int) -> str:
        """Give the address of a mailed link."""
        return f"{self.url}/issues/weekly/sign-in/{SIGNER.sign(Purpose.sign_in, number, at=self.world.clock())}"

    def at(self, path: str) -> str:
        """Give a page's address."""
        return self.sign_in(1) if path == "{signed}" else self.url + path


@pytest.fixture
def site(sqlite_store, tmp_path) -> Iterator[Site]:
    world = make_world(sqlite_store, MemoryProvider())
    world.readers(addresses(1))
    world.readers(addresses(1, start=1), plan="pro")
    with world.database.writing() as session:
        form = PublicationForm(upgrade_url="https://news.example.com/pro", standing_footer="由编辑部整理。")
        set_publication(session, "weekly", form)
    for file in (SAMPLE_ISSUE, SHOWCASE):
        world.clock.forward(86400)
        world.schedule(world.issue(decode(file.read_bytes())))
        world.begin()
    with served(world, tmp_path) as service:
        yield Site(service.settings.public_url, world)


@SCREENS
@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_the_archive_is_open_to_everyone_and_no_wider_than_the_screen(site, chromium, width, scheme, language):
    axe = node_file("axe-core/axe.min.js").read_text(encoding="utf-8")
    # axe runs scripts, the pages hold none.
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, locale=language)
    page = context.new_page()
    wrong = []
    for path in PATHS:
        answer = page.goto(site.at(path))
        assert answer.status == 200
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.evaluate(axe)
        result = page.evaluate("options => axe.run(document, options)", OPTIONS)
        for rule in [*result["violations"], *result["incomplete"]]:
            wrong += [(path, rule["id"], node["html"][:200], node["failureSummary"]) for node in rule["nodes"]]
    context.close()
    assert wrong == []


@SCREENS
def test_a_reader_searches_reads_and_signs_in_by_keyboard_without_javascript(site, chromium, width, scheme):
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, java_script_enabled=False, color_scheme=scheme, locale="en-GB"
    )
    page = context.new_page()
    page.goto(f"{site.url}/issues/")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("夜班公交")
    page.keyboard.press("Enter")
    page.get_by_text("1 issue holds").wait_for()
    page.locator(".list a").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="雨水花园").wait_for()
    assert page.get_by_role("link", name="Subscribe to").get_attribute("href") == "/sign-up/weekly"
    assert page.get_by_text("第 9 到第 11 个月").count() == 0
    page.get_by_role("link", name="获取登录链接").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Read “测试刊”").wait_for()
    page.get_by_label("Your email address").focus()
    page.keyboard.type(addresses(1, start=1)[0])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Look into your mailbox").wait_for()
    page.goto(site.sign_in(2))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Reading as r***@e**.com").wait_for()
    page.goto(f"{site.url}/issues/weekly/2")
    page.get_by_text("第 9 到第 11 个月").wait_for()
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Sign in to read").wait_for()
    context.close()
