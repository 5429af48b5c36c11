"""The pictures of docs/: the showcase issue in Chromium at each width, with its styles and without, and in the dark."""

import re
import shutil
from html import escape

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import FLAGS, NAMES
from tests.mails import ROOT, SAMPLE_ISSUE, SHOWCASE, html_of


FOLDER = ROOT / "docs" / "images"
WIDTHS = (320, 375, 414, 600, 800)
#: In the place of the issue's photo, which is nowhere.
PHOTO = """<svg xmlns="http://www.w3.org/2000/svg" width="1184" height="520"><defs>
<linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="#7fa88f"/>
<stop offset=".6" stop-color="#c9d8b6"/><stop offset="1" stop-color="#e8e2c8"/></linearGradient></defs>
<rect width="1184" height="520" fill="url(#g)"/></svg>"""
#: The first page of a mail on a phone and on a desktop, side by side.
BOTH = """<body style="margin:0;padding:32px;display:flex;gap:32px;background:#dcd8cd">
<iframe style="border:0;border-radius:18px;width:375px;height:900px" srcdoc="{html}"></iframe>
<iframe style="border:0;border-radius:8px;width:800px;height:900px" srcdoc="{html}"></iframe></body>"""


def main() -> None:
    """Make every picture."""
    html = html_of(SHOWCASE)
    bare = re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    path = next(found for name in NAMES if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for width in WIDTHS:
            take(browser, html, width, f"showcase-{width}")
            take(browser, bare, width, f"showcase-{width}-bare")
        take(browser, html, 375, "showcase-375-dark", scheme="dark")
        take(browser, BOTH.format(html=escape(html_of(SAMPLE_ISSUE))), 1271, "mail")
        browser.close()


def take(browser: Browser, html: str, width: int, name: str, scheme: str = "light") -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(content_type="image/svg+xml", body=PHOTO))
    page.set_content(html)
    page.screenshot(path=FOLDER / f"{name}.jpg", full_page=True, type="jpeg", quality=72)
    context.close()


if __name__ == "__main__":
    main()
