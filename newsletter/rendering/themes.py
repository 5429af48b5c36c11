"""Themes: the templates, styles and words a mail is made with, loaded once from the templates folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.exceptions import TemplateError

from newsletter.errors import Misconfigured


LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class Theme:
    """What a mail is made with.

    Attributes:
        environment: Templates for MJML, with everything escaped unless a template says otherwise.
        css: The styles of a mail's text; inlined, but for its media queries.
        words: What the mail itself says, by language and name.
    """

    environment: Environment
    css: str
    words: Mapping[str, Mapping[str, str]]

    def words_for(self, locale: str) -> Mapping[str, str]:
        """Give the words in a locale's language; English where the theme does not speak it."""
        language = locale.split("-", maxsplit=1)[0].lower()
        return self.words.get(language, self.words["en"])


def load_theme(folder: Path) -> Theme:
    """Load the theme from a folder of templates.

    Raises:
        Misconfigured: A file is missing or broken; the sentence names file and line.
    """
    mail = folder / "email"
    environment = Environment(
        loader=FileSystemLoader(mail), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    try:
        for name in ("issue.mjml.j2", "issue.txt.j2"):
            environment.get_template(name)
        css = (mail / "issue.css").read_text(encoding="utf-8")
        words = yaml.safe_load((mail / "words.yaml").read_text(encoding="utf-8"))
    except TemplateError as error:
        where = f"{getattr(error, 'filename', None) or mail}, line {getattr(error, 'lineno', '?')}"
        raise Misconfigured(f"the theme is broken: {where}: {error.message or error}") from None
    except (OSError, yaml.YAMLError) as error:
        raise Misconfigured(f"the theme in {mail} cannot be read: {error}") from None
    if missing := [language for language in LANGUAGES if language not in words]:
        raise Misconfigured(f"{mail / 'words.yaml'} has no words in: {', '.join(missing)}")
    return Theme(environment, css, words)
