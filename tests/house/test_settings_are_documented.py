"""`.env.example`, `Settings` and `docs/settings.md` name the same settings with the same defaults and words."""

import re
from pathlib import Path

from pydantic import SecretStr

from newsletter.settings import Settings


ROOT = Path(__file__).parents[2]


def declared():
    """Every setting as (variable, default, meaning), from the class."""
    for name, field in Settings.model_fields.items():
        variable = "SENDGRID_API_KEY" if name == "sendgrid_api_key" else f"NEWSLETTER_{name.upper()}"
        yield variable, shown(field.default), field.description


def shown(default):
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in {None, ()} else str(default)


def test_the_example_file_shows_every_setting_with_its_default():
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    found = [
        (*line.split("=", 1), lines[number - 1].removeprefix("# "))
        for number, line in enumerate(lines)
        if re.match(r"[A-Z_]+=", line)
    ]
    assert found == list(declared())


def test_the_docs_explain_every_setting():
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`|\(empty\)) \| (.*) \|$", text, re.MULTILINE)
    assert found == list(declared())


def test_the_example_file_is_what_the_service_runs_with_anyway(monkeypatch):
    """Copying the example changes nothing."""
    copied = Settings(_env_file=ROOT / ".env.example").model_dump()
    assert copied == Settings(_env_file=None).model_dump()
