"""Editions whose mails hold HTML of our choice, for the checks that look at nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.issues.document import decode
from newsletter.preflight.edition import Edition
from tests.mails import SHOWCASE, edition


@pytest.fixture(params=["the weekly", "the showcase"])
def clean(request, weekly_issue: Path) -> Edition:
    """An edition whose theme and text hold nothing that a mail program lacks."""
    return edition(decode((weekly_issue if request.param == "the weekly" else SHOWCASE).read_bytes()))


@pytest.fixture(scope="session")
def written() -> Callable[..., Edition]:
    """Make an edition of bare HTML: one mail, or one for each of the plans."""
    whole = edition("# 标题\n\n一段。")

    def make(*htmls: str) -> Edition:
        pairs = zip(whole.renderings, htmls, strict=False)
        return replace(whole, renderings=tuple(replace(rendering, html=html) for rendering, html in pairs))

    return make
