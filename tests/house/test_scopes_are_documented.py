"""docs/going-live.md asks for the scopes that the doctor looks for, and for no others."""

import re

from newsletter.doctor.account import NEEDED
from tests.conftest import ROOT


def test_the_docs_ask_for_the_scopes_that_the_doctor_looks_for():
    page = (ROOT / "docs" / "going-live.md").read_text(encoding="utf-8")
    asked = re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE)
    assert asked == [scope for scope, _, _ in NEEDED]
