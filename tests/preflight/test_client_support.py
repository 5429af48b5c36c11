"""The figures for mail programs are whole, and a feature that a program lacks is found wherever it is written."""

import json
from datetime import date
from pathlib import Path

import pytest

from newsletter.preflight import client_support
from newsletter.preflight.client_advice import HARMLESS
from newsletter.preflight.client_support import check, figures
from newsletter.preflight.edition import Severity


WARNING, NOTE = Severity.warning, Severity.note


def found(edition) -> dict[str, Severity]:
    """The findings' features, as the message begins with them."""
    return {
        finding.message.split(" ")[0] + finding.message.split(" ")[1]: finding.severity for finding in check(edition)
    }


def test_the_figures_tell_their_source_their_day_and_their_clients():
    table = json.loads(Path(client_support.__file__).with_name("client_support.json").read_text())
    assert "caniemail 2.0.2" in table["source"]
    assert date.fromisoformat(table["date"]) == date(2026, 5, 13)
    families = {key.partition(".")[0] for key in table["clients"]}
    assert families == {"gmail", "apple-mail", "outlook", "yahoo", "samsung-email"}
    assert len(table["clients"]) == 14


def test_every_feature_has_a_letter_for_every_client_and_no_words():
    assert len(figures().features) > 300
    for letters in figures().features.values():
        assert len(letters) == len(figures().clients)
        assert set(letters) <= set("yanu")


def test_only_doubtful_features_are_called_harmless():
    for feature in HARMLESS:
        assert set(figures().features[feature]) & {"n", "a"}, feature


def test_nothing_is_found_in_a_clean_mail(clean):
    assert list(check(clean)) == []


@pytest.mark.parametrize(
    ("style", "feature", "severity"),
    [
        ("position: absolute", "css:position", WARNING),
        ("float: left", "css:float", WARNING),
        ("object-fit: cover", "css:object-fit", WARNING),
        ("animation-name: x", "css:animation", WARNING),
        ("TRANSFORM: none", "css:transform", WARNING),
        ("opacity: .5", "css:opacity", WARNING),
        ("row-gap: 3px", "css:gap", WARNING),
        ("top: 3px", "css:left-right-top-bottom", WARNING),
        ("margin-inline-start: 3px", "css:margin-inline-start-end", WARNING),
        ("padding-block: 3px", "css:padding-inline-block", WARNING),
        ("border-start-end-radius: 3px", "css:border-radius-logical", WARNING),
        ("border-block-start-width: 3px", "css:border-inline-block-individual", WARNING),
        ("column-rule: 3px", "css:column-layout-properties", WARNING),
        ("color: var(--ink)", "css:variables", WARNING),
        ("--ink: red", "css:variables", WARNING),
        ("width: calc(100% - 3px)", "css:unit-calc", WARNING),
        ("width: clamp(1px, 2px, 3px)", "css:function-clamp", WARNING),
        ("width: fit-content", "css:intrinsic-size", WARNING),
        ("width: 3vw", "css:unit-vw", WARNING),
        ("width: 3rem", "css:unit-rem", WARNING),
        ("color: oklch(1 2 3)", "css:modern-color", WARNING),
        ("color: rgb(0 0 0)", "css:rgb", WARNING),
        ("color: rgba(0, 0, 0, .5)", "css:rgba", WARNING),
        ("color: rgb(0, 0, 0)", "", None),
        ("font-family: 'Floating 3vw; float: left'", "", None),
        ("font-family: serif; /* float: left */ color: red", "", None),
        ("mso-line-height-rule: exactly; -webkit-text-size-adjust: 100%", "", None),
        ("display: none; opacity: 0; max-height: 0", "", None),
    ],
)
def test_an_inline_style_is_found(written, style, feature, severity):
    assert found(written(f'<p style="{style}">一段</p>')) == ({feature: severity} if feature else {})


@pytest.mark.parametrize(
    ("css", "features"),
    [
        ("@import url(x.css);", {"css:at-import"}),
        ("@font-face { font-family: x; src: url(x.woff2) }", {"css:at-font-face"}),
        ("@supports (color: red) { p { color: red } }", {"css:at-supports"}),
        ("@keyframes x { from { color: red } 50% { color: blue } }", {"css:at-keyframes"}),
        ("@media (orientation: portrait) { p { color: red } }", {"css:at-media-orientation"}),
        ("@media screen { p { float: left } }", {"css:float"}),
        ("p { color: red; &.x { color: blue } }", {"css:nesting"}),
        ("p:has(a) { color: red }", {"css:pseudo-class-has"}),
        ("p:nth-child(2n + 1) { color: red }", {"css:pseudo-class-nth-child"}),
        ("p::before { color: red }", {"css:pseudo-element-before"}),
        ("p:after { color: red }", {"css:pseudo-element-after"}),
        ("[class~=x] { color: red }", {"css:selector-attribute"}),
        ("* { color: red }", {"css:selector-universal"}),
        ("p + p { color: red }", {"css:selector-adjacent-sibling"}),
        ("p ~ p { color: red }", {"css:selector-general-sibling"}),
        ("p { color: red } .a, .b > .c td { color: blue }", set()),
        ("p { color: red; /* never closed", set()),
    ],
)
def test_a_style_block_is_read(written, css, features):
    assert found(written(f"<style>{css}</style>")).keys() == features


@pytest.mark.parametrize(
    ("html", "feature", "severity"),
    [
        ("<form></form>", "html:form", WARNING),
        ("<video></video>", "html:video", WARNING),
        ("<audio></audio>", "html:audio", WARNING),
        ("<picture></picture>", "html:picture", WARNING),
        ("<svg></svg>", "html:svg", WARNING),
        ("<details></details>", "html:semantics", WARNING),
        ("<input type=checkbox>", "html:input-checkbox", WARNING),
        ("<select></select>", "html:select", WARNING),
        ("<p popover>一段</p>", "html:popover", WARNING),
        ('<a href="#two">二</a>', "html:anchor-links", WARNING),
        ('<img src="https://a.example/a.gif">', "image:gif", NOTE),
        ('<p style="text-indent: 2em">一段</p>', "css:text-indent", NOTE),
        ('<img src="https://a.example/a.png" width="3"><a href="https://a.example/#b">甲</a>', "", None),
        ("<!--[if mso]><svg></svg><p style='float:left'></p><![endif]-->", "", None),
    ],
)
def test_html_and_pictures_are_found(written, html, feature, severity):
    assert found(written(html)) == ({feature: severity} if feature else {})


def test_a_finding_names_the_clients_the_feature_and_the_way_out(written):
    (finding,) = [one for one in check(written('<p style="display: flex"></p>')) if "display-flex" in one.message]
    for words in (
        "css: display-flex",
        "not supported by Outlook Windows",
        "partly",
        "as a table",
        "caniemail, 2026-05-13",
    ):
        assert words in finding.message
