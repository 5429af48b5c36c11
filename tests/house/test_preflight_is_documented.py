"""docs/preflight.md lists every check, and none that there is not."""

import re

from newsletter.issues.fields import FIELDS
from newsletter.preflight.inspection import CHECKS
from tests.mails import ROOT


def test_the_docs_list_every_check_by_its_name():
    page = (ROOT / "docs" / "preflight.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(CHECKS)


def test_the_docs_list_every_field():
    page = (ROOT / "docs" / "writing-an-issue.md").read_text(encoding="utf-8")
    for name in FIELDS:
        assert f"`{name}`" in page
