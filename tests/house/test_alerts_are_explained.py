"""Each kind of alert has its words in both languages and its line in docs/alerts.md."""

import re
from datetime import UTC, datetime

import pytest
import yaml

from newsletter.alerts import Alert, AlertKind
from newsletter.notices.alerting import text_of
from newsletter.publications import Publication
from tests.conftest import ROOT


WORDS = yaml.safe_load((ROOT / "templates" / "alerts" / "words.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", AlertKind)
@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_every_kind_says_what_happened_and_what_to_do(kind, locale):
    own = WORDS[locale[:2]][kind]
    facts = dict.fromkeys(re.findall(r"{(\w+)}", "".join(own.values())), "a fact") | {"do": "newsletter issue list"}
    now = datetime(2026, 11, 23, tzinfo=UTC)
    alert = Alert(kind=kind, about="mailing 7", publication_id=1, live=False, facts=facts, repeats=0, created_at=now)
    publication = Publication(code="weekly", name="My Weekly", sender="a@example.com", locale=locale, created_at=now)
    told = text_of(alert, publication, WORDS)
    assert "{" not in told.plain
    assert "?" not in told.plain
    assert "My Weekly" in told.title
    assert "newsletter " in told.plain
    assert ("NOT LIVE" in told.plain) is (locale == "en")


def test_the_words_are_of_kinds_that_there_are():
    lines = {"not_live", "again", "before", "next"}
    for own in WORDS.values():
        assert set(own) == {*AlertKind} | lines


def test_the_docs_say_when_each_kind_is_told():
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE) == [*AlertKind]
