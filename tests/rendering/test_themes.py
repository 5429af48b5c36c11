"""An operator's folder is laid over our theme, and what is broken in it is told with file and line."""

import re
from dataclasses import replace

import pytest

from newsletter.errors import Misconfigured
from newsletter.rendering.mail import Face
from newsletter.rendering.themes import load_theme
from tests.mails import FACE, TEMPLATES, mail


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "email").mkdir()
    return tmp_path


def overridden(folder, name, content):
    (folder / "email" / name).write_text(content, encoding="utf-8")
    return load_theme(TEMPLATES, folder)


def ours(name):
    return (TEMPLATES / "email" / name).read_text(encoding="utf-8")


def test_a_yaml_file_needs_to_say_only_what_is_different(folder):
    theme = overridden(folder, "theme.yaml", "light:\n  accent: '#116644'\n")
    assert theme.look()["light"]["accent"] == "#116644"
    assert theme.look()["dark"] == load_theme(TEMPLATES).look()["dark"]
    assert "#116644" in mail("# 标题\n\n## 节\n\n一段。", theme=theme).html


def test_words_are_laid_over_ours_and_a_third_language_may_come(folder):
    theme = overridden(folder, "words.yaml", "zh:\n  leave: 再见\nja:\n  nameless: 読者様\n")
    assert "再见" in mail("# 标题\n\n一段。", theme=theme).text
    assert theme.words_for("en")["leave"] == "Unsubscribe at once"
    assert theme.words_for("ja-JP")["nameless"] == "読者様"
    assert theme.words_for("ja-JP")["leave"] == "Unsubscribe at once"


def test_an_empty_file_changes_nothing(folder):
    assert overridden(folder, "theme.yaml", "").look() == load_theme(TEMPLATES).look()


def test_a_template_takes_the_place_of_ours(folder):
    theme = overridden(folder, "issue.txt.j2", ours("issue.txt.j2").replace("————————————————", "<><><>"))
    assert "<><><>" in mail("# 标题\n\n一段。", theme=theme).text


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("theme.yaml", "light:\n  accent: [1\n", r"theme\.yaml, line 3"),
        ("theme.yaml", "- a\n", r"theme\.yaml, line 1"),
        ("theme.yaml", "light:\n  akzent: '#112233'\n", r"theme\.yaml: nothing is called light\.akzent"),
        ("theme.yaml", "light: '#112233'\n", r"theme\.yaml: light must be names with values"),
        ("theme.yaml", "light:\n  accent: teal\n", r"theme\.yaml: light\.accent is no colour"),
        ("words.yaml", "zh:\n  leafe: 退订\n", r"words\.yaml: nothing is called zh\.leafe"),
        ("theme.yaml", "lite:\n  accent: '#112233'\n", r"theme\.yaml: nothing is called lite"),
        ("theme.yaml", "font: 'a; } </style>'\n", r"theme\.yaml: font is no list of fonts"),
        (
            "words.yaml",
            "zh:\n  only_for: '{planz}'\n",
            r"words\.yaml: zh\.only_for cannot be filled: it may hold \{plans\}",
        ),
        ("words.yaml", "zh:\n  leave: '退{'\n", r"words\.yaml: zh\.leave cannot be filled"),
        ("words.yaml", "zh:\n  risk_labels: 风险\n", r"words\.yaml: zh\.risk_labels must be a list"),
        ("isue.css.j2", "p {}", r"isue\.css\.j2, which no mail is made with"),
        ("issue.txt.j2", "一\n{% if %}\n", r"issue\.txt\.j2, line 2"),
        ("issue.css.j2", "p { color: red; }\n.a { color red; }\n", r"issue\.css\.j2, line 2"),
        (
            "issue.css.j2",
            "@media (min-width: 480px) {\n  p { color: {{ look.light.ink }} }\n} }",
            r"issue\.css\.j2, line 3",
        ),
        ("issue.css.j2", "{{ look.nothing }}", r"issue\.css\.j2, line 1"),
    ],
)
def test_what_is_broken_is_named_when_the_theme_is_loaded(folder, name, content, says):
    with pytest.raises(Misconfigured, match=says):
        overridden(folder, name, content)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("issue.txt.j2", "{{ face.name }}", "{{ publisher }}", r"issue\.txt\.j2, line \d+: 'publisher' is undefined"),
        ("issue.mjml.j2", "</mj-head>", "</mj-haed>", r"issue\.mjml\.j2, line {line}"),
        ("issue.mjml.j2", "{{ place | safe }}", "", r"issue\.mjml\.j2.*`slots`"),
        ("issue.mjml.j2", "<mj-head>", "<mj-head> a < b", r"issue\.mjml\.j2, line {line}"),
    ],
)
def test_what_only_shows_when_it_is_filled_is_named_with_its_line(folder, name, old, new, says):
    line = 1 + ours(name)[: ours(name).index(old)].count("\n")
    theme = overridden(folder, name, ours(name).replace(old, new, 1))
    with pytest.raises(Misconfigured, match=says.replace("{line}", str(line))):
        mail("# 标题\n\n一段。", theme=theme)


def test_a_folder_without_a_theme_is_told(tmp_path):
    with pytest.raises(Misconfigured, match="email"):
        load_theme(TEMPLATES, tmp_path)


@pytest.mark.parametrize("brand", ["#ffee01", "#010000", "#fffffe", "#0055ab"])
def test_a_brand_colour_is_seen_and_its_text_reads(brand):
    html = mail("---\nnumber: 7\n---\n# 标题\n\n[加入](/join){.button}", replace(FACE, brand_color=brand)).html
    assert re.search(rf'class="press" style="[^"]*background-color:{brand}', html)


def test_everything_a_publication_can_show_is_shown():
    face = Face(
        "一份刊物",
        "https://news.example.com",
        "示例路 1 号",
        "zh-CN",
        subscribe_url="https://news.example.com/join",
        upgrade_url="https://news.example.com/pro",
        logo_url="https://news.example.com/logo.png",
        brand_color="#0b5c8a",
        standing_footer="由机器**撰写**，[声明](/notice)。{{ name }}",
        plan_names={"pro": "专业版"},
    )
    rendering = mail("---\nnumber: 7\ndate: 2027-01-01\n---\n# 标题\n\n::: plan pro\n一段。\n:::", face)
    for shown in ("logo.png", "/join", "/pro", "#0b5c8a", "撰写", "/notice", "专业版", "第 7 期", "2027-01-01"):
        assert shown in rendering.html
    for shown in ("/join", "/pro", "由机器撰写", "/notice", "专业版", "第 7 期", "2027-01-01", "示例路 1 号"):
        assert shown in rendering.text
