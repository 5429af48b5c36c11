"""A reader's whole way in a real browser: sign up, confirm, preferences, change plan, leave with a reason, undo.

By keyboard alone and by pointer, on a phone and on a desk, in Chinese and English, with JavaScript off; every page on
the way is looked at by axe-core, in a browser of its own that may run it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from newsletter.composition import Service
from newsletter.notices.dispatch import send_next
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, set_publication
from subscribers.consent import consent_of
from subscribers.models import Plan
from subscribers.roster import find_by_address
from tests.served import served
from tests.world import World, make_world


pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
NEW = "neu@example.org"
#: What a person looks for on the pages, by language.
WORDS = {
    "en": {
        "address": "Your email address",
        "sign_up": "Subscribe",
        "sent": "Please confirm in your mailbox",
        "confirm": "Confirm subscription",
        "confirmed": "You are subscribed to",
        "preferences": "Preferences",
        "short": "Short",
        "change": "Change plan",
        "changed": "You are on the Short plan now.",
        "leave": "Unsubscribe",
        "left": "You have left",
        "reason": "Too many mails",
        "send": "Send",
        "thanks": "Thank you, it is noted.",
        "undo": "Undo and stay subscribed",
        "back": "You are subscribed to “测试刊” again",
    },
    "zh-CN": {
        "address": "你的邮箱地址",
        "sign_up": "订阅",
        "sent": "请到邮箱里确认",
        "confirm": "确认订阅",
        "confirmed": "已订阅《测试刊》",
        "preferences": "订阅设置",
        "short": "Short",
        "change": "更换方案",
        "changed": "已换到Short方案。",
        "leave": "退订",
        "left": "已退订《测试刊》",
        "reason": "邮件太多",
        "send": "发送",
        "thanks": "谢谢，已经记下。",
        "undo": "撤销，继续订阅",
        "back": "你又订阅了《测试刊》",
    },
}


@dataclass
class Site:
    """A running site, and the mails that it sends."""

    url: str
    world: World
    service: Service
    provider: MemoryProvider

    def link_of_last_mail(self) -> str:
        """Send what waits, and give the confirming link of the last mail."""
        desk = self.service.notice_desk(self.provider)
        while send_next(desk):
            pass
        (link,) = set(re.findall(rf"{self.url}/confirm/\S+", self.provider.accepted[-1].text))
        return str(link)


@pytest.fixture
def site(sqlite_store, tmp_path) -> Iterator[Site]:
    provider = MemoryProvider()
    world = make_world(sqlite_store, provider)
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(upgrade_url="https://news.example.com/pro"))
        short = Plan(publication_id=world.publication.id, code="short", name="Short", position=9, is_public=True)
        session.add(short)
    with served(world, tmp_path) as service:
        yield Site(service.settings.public_url, world, service, provider)


@dataclass
class Hand:
    """How a person uses a page: by pointer, or by keyboard alone."""

    page: Page
    by_keyboard: bool

    def press(self, role: str, name: str) -> None:
        """Press a button or a link, tick a box, choose a radio button."""
        target = self.page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]  # names of roles
        if not self.by_keyboard:
            target.click()
            return
        self._reach(target)
        self.page.keyboard.press("Enter" if role in {"button", "link"} else "Space")

    def write(self, label: str, text: str) -> None:
        """Write into a field."""
        field = self.page.get_by_label(label)
        if self.by_keyboard:
            self._reach(field)
        else:
            field.click()
        self.page.keyboard.type(text)

    def choose(self, name: str) -> None:
        """Choose one of several radio buttons; by keyboard with the arrows, as browsers have it."""
        target = self.page.get_by_role("radio", name=name, exact=True)
        if not self.by_keyboard:
            target.click()
            return
        group = target.get_attribute("name")
        self._reach(self.page.locator(f"input[name={group}]"))
        if not target.is_checked():
            self.page.keyboard.press("Space")
        for _ in range(20):
            if target.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"the arrows do not lead to {name}")

    def tick_all(self) -> None:
        """Tick every box of the form, in order."""
        for box in self.page.get_by_role("checkbox").all():
            if self.by_keyboard:
                self._reach(box)
                self.page.keyboard.press("Space")
            else:
                box.check()

    def _reach(self, target) -> None:
        """Tab until one of the targets has the focus, visibly."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            if any(one.evaluate("node => node === document.activeElement") for one in target.all()):
                assert self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        raise AssertionError("the keyboard does not lead there")


@pytest.fixture
def look_at(chromium: Browser) -> Iterator[Callable[[Page], None]]:
    """Look at a page as it stands with axe-core, and whether it fits the window."""
    watching = [chromium.new_page(color_scheme=scheme, bypass_csp=True) for scheme in ("light", "dark")]
    for copy in watching:
        copy.add_init_script(path=AXE)

    def _look(page: Page) -> None:
        size = page.viewport_size
        assert size is not None
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        for copy in watching:
            copy.set_viewport_size(size)
            copy.goto("about:blank")
            copy.set_content(page.content())
            found = copy.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']})")
            assert [one["id"] for one in (*found["violations"], *found["incomplete"])] == []

    yield _look
    for copy in watching:
        copy.close()


@pytest.mark.parametrize("by_keyboard", [True, False], ids=["keyboard", "pointer"])
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("width", [390, 1200])
def test_a_reader_comes_changes_leaves_and_comes_back(site, chromium, look_at, width, locale, by_keyboard):
    words = WORDS[locale]
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, java_script_enabled=False, locale=locale, has_touch=not by_keyboard
    )
    page = context.new_page()
    hand = Hand(page, by_keyboard)
    # The pages are the same however they are used: they are looked at once.
    look = look_at if not by_keyboard else lambda _: None

    page.goto(f"{site.url}/")
    look(page)
    hand.write(words["address"], NEW)
    hand.tick_all()
    hand.press("button", words["sign_up"])
    page.get_by_role("heading", name=words["sent"]).wait_for()
    look(page)

    page.goto(site.link_of_last_mail())
    look(page)
    hand.press("button", words["confirm"])
    page.get_by_role("heading", name=words["confirmed"]).wait_for()
    look(page)
    hand.press("link", words["preferences"])

    page.get_by_role("radio", name=words["short"], exact=True).wait_for()
    look(page)
    hand.choose(words["short"])
    hand.press("button", words["change"])
    page.get_by_text(words["changed"]).wait_for()
    look(page)

    hand.press("link", words["leave"])
    page.wait_for_url("**/u/*")
    look(page)
    hand.press("button", words["leave"])
    page.get_by_role("heading", name=words["left"]).wait_for()
    look(page)
    hand.choose(words["reason"])
    hand.press("button", words["send"])
    page.get_by_text(words["thanks"]).wait_for()
    look(page)
    hand.press("button", words["undo"])
    page.get_by_role("heading", name=words["back"]).wait_for()
    look(page)
    assert context.cookies() == []
    context.close()

    with site.world.database.reading() as session:
        reader = find_by_address(session, site.world.publication.id, NEW)
        kinds = [event.kind for event in consent_of(session, reader.id)]
    assert (reader.state, reader.plan) == ("confirmed", "short")
    assert kinds == ["asked", "confirm_sent", "confirmed", "plan_changed", "left", "reason_given", "returned"]


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_a_slip_is_told_where_it_was_made_and_nothing_typed_is_lost(site, chromium, look_at, locale):
    context = chromium.new_context(viewport={"width": 390, "height": 800}, java_script_enabled=False, locale=locale)
    page = context.new_page()
    page.goto(f"{site.url}/")
    page.get_by_label(WORDS[locale]["address"]).fill("neu@example")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name=WORDS[locale]["sign_up"]).click()
    page.get_by_role("alert").wait_for()
    look_at(page)
    assert page.get_by_label(WORDS[locale]["address"]).input_value() == "neu@example"
    context.close()
