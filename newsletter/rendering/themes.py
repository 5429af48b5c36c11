"""Themes: the templates, styles, colours and words a mail is made with; ours, with an operator's folder laid over them.

A file of the operator's folder takes the place of ours of the same name; ``theme.yaml`` and ``words.yaml`` only need to
say what is different. What is broken is told with file and line, before a mail is made with it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import tinycss2
import yaml
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from jinja2.exceptions import TemplateError
from lxml import etree

from newsletter.errors import Misconfigured
from newsletter.rendering.colours import is_colour, on, readable


#: The folders of templates that an operator's own may be laid over, with what is filled from each.
_EMAIL, _NOTICES = "email", "notices"
_TEMPLATES = {
    _EMAIL: ("issue.mjml.j2", "issue.txt.j2", "issue.css.j2"),
    _NOTICES: ("notice.mjml.j2", "notice.txt.j2"),
}
_FONTS = re.compile(r"[\w\s,'-]+")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True)
class Theme:
    """What a mail is made with.

    Attributes:
        environment: Templates for MJML, with everything escaped unless a template says otherwise.
        unescaped: The same for plain text and styles.
        style: Fonts, and colours for light and dark.
        words: What the mail itself says, by language and name.
    """

    environment: Environment
    unescaped: Environment
    style: Mapping[str, Any]
    words: Mapping[str, Mapping[str, Any]]

    def words_for(self, locale: str) -> Mapping[str, Any]:
        """Give the words in a locale's language; English where the theme does not speak it."""
        return self.words[_language(locale) if self.speaks(locale) else "en"]

    def speaks(self, locale: str) -> bool:
        """Tell whether there are words in a locale's language."""
        return _language(locale) in self.words

    def fill(self, template: str, **values: Any) -> str:
        """Fill a template; one of plain text or styles without escaping.

        Raises:
            Misconfigured: It cannot be filled; the sentence names file and line.
        """
        environment = self.environment if template.endswith(".mjml.j2") else self.unescaped
        try:
            return environment.get_template(template).render(**values)
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise Misconfigured(f"the theme is broken: {_where(error, template)}: {error}") from error

    def look(self, brand_color: str = "") -> Mapping[str, Any]:
        """Give fonts and colours, with a publication's own accent and the shades of it in which text reads."""
        light, dark = dict(self.style["light"]), dict(self.style["dark"])
        for colours in (light, dark):
            accent = brand_color or colours["accent"]
            shade = readable(accent, colours["paper"])
            colours |= {"accent": accent if colours is light else shade, "accent_text": shade}
            colours["on_accent"] = on(colours["accent"])
        return {**self.style, "light": light, "dark": dark}

    def css(self, brand_color: str = "") -> str:
        """Give the styles of a mail's text; inlined, but for their media queries."""
        return self.fill("issue.css.j2", look=self.look(brand_color))

    def explain(self, template: str, mistake: str) -> Misconfigured:
        """Say where a template that gave no valid MJML is not well-formed."""
        source, file, _ = self.environment.loader.get_source(self.environment, template)  # type: ignore[union-attr]
        blank = _JINJA.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)
        try:
            etree.fromstring(blank.encode(), etree.XMLParser(resolve_entities=False))
        except etree.XMLSyntaxError as error:
            return Misconfigured(f"the theme is broken: {file}, line {error.lineno}: {error.msg}")
        return Misconfigured(f"the theme is broken: {file}: {mistake}")


def load_theme(folder: Path, overrides: Path | None = None) -> Theme:
    """Load what issues are made with from our folder of templates, with an operator's folder laid over it.

    Raises:
        Misconfigured: A file is missing or broken; the sentence names file and line.
    """
    return _load(folder, overrides, _EMAIL)


def load_notice_theme(folder: Path, overrides: Path | None = None) -> Theme:
    """Load what notices are made with: templates and words of their own, in the fonts, colours and styles of issues.

    Raises:
        Misconfigured: A file is missing or broken; the sentence names file and line.
    """
    return _load(folder, overrides, _NOTICES)


def _load(folder: Path, overrides: Path | None, kind: str) -> Theme:
    _check_overrides(folder, overrides)
    look, own = _layers(folder, overrides, _EMAIL), _layers(folder, overrides, kind)
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(one) for one in dict.fromkeys((*own, *look))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        for name in _TEMPLATES[kind]:
            environment.get_template(name)
    except TemplateError as error:
        raise Misconfigured(f"the theme is broken: {_where(error, str(own[-1]))}: {error.message or error}") from None
    style, words = _merged("theme.yaml", look), _words(own)
    theme = Theme(environment, environment.overlay(autoescape=False), style, words)
    _check_style(style, look)
    _check_css(theme, look)
    return theme


def _layers(folder: Path, overrides: Path | None, kind: str) -> list[Path]:
    """Give the folders that files of a kind are looked for in, an operator's before ours."""
    theirs = overrides / kind if overrides else None
    return [one for one in (theirs, folder / kind) if one and one.is_dir()]


def _check_overrides(folder: Path, overrides: Path | None) -> None:
    """Refuse an operator's folder that lays nothing over ours, by mistake of a name."""
    if overrides is None:
        return
    if not any((overrides / kind).is_dir() for kind in _TEMPLATES):
        raise Misconfigured(
            f"{overrides} holds no folder `email` or `notices`: put issue.css.j2, theme.yaml and the like there"
        )
    for theirs in (overrides / kind for kind in _TEMPLATES if (overrides / kind).is_dir()):
        ours = {file.name for file in (folder / theirs.name).iterdir()}
        if strange := sorted({file.name for file in theirs.iterdir()} - ours):
            raise Misconfigured(f"{theirs} holds {', '.join(strange)}, which no mail is made with; is it misnamed?")


def _words(folders: list[Path]) -> dict[str, Any]:
    """Read the words; a language of the operator's own lacks nothing, since English stands behind it."""
    words = _merged("words.yaml", folders, open_ended=True)
    english = words["en"]
    for language, said in words.items():
        file = _file("words.yaml", folders)
        words[language] = _laid_over(english, said, file, f"{language}.")
        for name, value in words[language].items():
            _check_word(value, english[name], f"{file}: {language}.{name}")
    return words


def _check_word(value: Any, english: Any, place: str) -> None:
    if isinstance(english, Mapping):
        for name, word in english.items():
            _check_word(value[name], word, f"{place}.{name}")
        return
    if isinstance(english, list) != isinstance(value, list):
        raise Misconfigured(f"{place} must be {'a list of words' if isinstance(english, list) else 'text'}")
    known = {name for said in _texts(english) for _, name, _, _ in Formatter().parse(said) if name}
    for said in _texts(value):
        try:
            said.format(**dict.fromkeys(known, ""))
        except (KeyError, IndexError, ValueError):
            names = ", ".join(f"{{{name}}}" for name in sorted(known)) or "no braces"
            raise Misconfigured(f"{place} cannot be filled: it may hold {names}, and says {said!r}") from None


def _texts(value: Any) -> list[str]:
    """Give the texts of a word, which may be a list of them."""
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _merged(name: str, folders: list[Path], *, open_ended: bool = False) -> dict[str, Any]:
    """Lay the operator's file over ours; ``open_ended`` where it may bring names of its own at the top."""
    merged = dict(_read_yaml(folders[-1] / name))
    theirs = folders[0] / name
    if len(folders) > 1 and theirs.exists():
        merged = _laid_over(merged, _read_yaml(theirs), theirs, open_ended=open_ended)
    return merged


def _laid_over(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], file: Path, path: str = "", *, open_ended: bool = False
) -> dict[str, Any]:
    """Lay values over values, level by level; a name that we do not have is a mistake."""
    merged = dict(ours)
    for name, value in theirs.items():
        if name not in ours and not open_ended:
            raise Misconfigured(f"{file}: nothing is called {path}{name}; there is: {', '.join(map(str, ours))}")
        mine = ours.get(name)
        if mine is not None and isinstance(mine, Mapping) != isinstance(value, Mapping):
            raise Misconfigured(f"{file}: {path}{name} must be {'names with values' if mine else 'one value'}")
        nested = isinstance(mine, Mapping) and isinstance(value, Mapping)
        merged[name] = _laid_over(mine or {}, value, file, f"{path}{name}.") if nested else value
    return merged


def _read_yaml(file: Path) -> Mapping[str, Any]:
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise Misconfigured(f"{file}{line}: {getattr(error, 'problem', None) or error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the theme's {file} cannot be read: {error}") from None
    if read is not None and not isinstance(read, dict):
        raise Misconfigured(f"{file}, line 1: it must hold lines of `name: value`")
    return read or {}


def _check_style(style: Mapping[str, Any], folders: list[Path]) -> None:
    file = _file("theme.yaml", folders)
    for name in ("font", "mono"):
        if not _FONTS.fullmatch(str(style[name])):
            raise Misconfigured(f"{file}: {name} is no list of fonts as CSS writes it: {style[name]!r}")
    for scheme in ("light", "dark"):
        for name, value in style[scheme].items():
            if not is_colour(str(value)):
                raise Misconfigured(f"{file}: {scheme}.{name} is no colour as #rrggbb: {value!r}")


def _check_css(theme: Theme, folders: list[Path]) -> None:
    """Refuse styles that cannot be read: inlining would leave them out without a word."""
    theme.css()
    source, _, _ = theme.environment.loader.get_source(theme.environment, "issue.css.j2")  # type: ignore[union-attr]
    # Values of the template stand for words of the same length, so that the lines stay its own.
    css = _JINJA.sub(
        lambda match: re.sub(r"[^\n]", " " if match[0].startswith(("{%", "{#")) else "x", match[0]), source
    )
    for mistake in _css_mistakes(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)):
        file = _file("issue.css.j2", folders)
        raise Misconfigured(f"the theme is broken: {file}, line {mistake.source_line}: {mistake.message}")


def _css_mistakes(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        if node.type == "error":
            yield node
        elif getattr(node, "content", None):
            inner = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
            yield from _css_mistakes(inner)


def _language(locale: str) -> str:
    return locale.split("-", maxsplit=1)[0].lower()


def _file(name: str, folders: list[Path]) -> Path:
    return next((folder / name for folder in folders if (folder / name).exists()), folders[-1] / name)


def _where(error: Exception, template: str) -> str:
    """Say where in a template an error arose: a syntax error knows, any other is found in its traceback."""
    if (line := getattr(error, "lineno", None)) is not None:
        return f"{getattr(error, 'filename', None) or template}, line {line}"
    found, trace = template, error.__traceback__
    while trace:
        name = trace.tb_frame.f_code.co_filename
        if name.endswith(".j2"):
            found = f"{name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
