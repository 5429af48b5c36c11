"""Each rule for the Chinese mail programs is broken by what it is for, and by nothing else."""

import pytest

from newsletter.preflight.client_rules import RULES, check


PICTURE = '<img src="https://a.example/a.png" width="600" alt="图">'


def broken(edition) -> set[str]:
    return {finding.message.partition(",")[0] for finding in check(edition)}


def test_nothing_is_found_in_a_clean_mail(clean):
    assert list(check(clean)) == []


CASES = [
    ('<p style="position: absolute">一段</p>', "layout"),
    ('<p style="float: right !important">一段</p>', "layout"),
    ('<p style="display: inline-flex">一段</p>', "layout"),
    ('<p style="display: grid">一段</p>', "layout"),
    ("<style>.box { color: #fff }</style>", "style block"),
    ("<style>p { padding: 0 }</style>", "style block"),
    ('<link rel="stylesheet" href="https://a.example/a.css">', "style sheet"),
    ("<style>@font-face { font-family: x }</style>", "web font"),
    ("<style>@import 'https://a.example/a.css';</style>", "web font"),
    ("<form></form>", "active content"),
    ("<iframe></iframe>", "active content"),
    ("<script>1</script>", "active content"),
    ('<p onclick="x()">一段</p>', "active content"),
    ('<td style="background: #fff url(https://a.example/a.png)">', "background picture"),
    ('<td style="background-image: linear-gradient(red, blue)">', "background picture"),
    ('<td background="https://a.example/a.png">', "background picture"),
    (PICTURE.replace('width="600"', ""), "picture without width"),
    (PICTURE.replace("600", "100%"), "picture without width"),
    (PICTURE.replace("600", "641"), "too wide"),
    ('<p style="width: 700px">一段</p>', "too wide"),
    ('<p style="min-width: 640.5px">一段</p>', "too wide"),
    ('<p style="font-size: 13px">一段</p>', "small print"),
]


@pytest.mark.parametrize(("html", "rule"), CASES)
def test_a_rule_is_broken_by_what_it_is_for(written, html, rule):
    assert broken(written(html)) == {rule}


def test_every_rule_is_tried():
    assert {rule.name for rule in RULES} == {rule for _, rule in CASES}


@pytest.mark.parametrize(
    "html",
    [
        PICTURE,
        PICTURE.replace("图", ""),
        '<p style="position: relative; float: none; display: inline-block">一段</p>',
        '<p style="max-width: 700px; width: 640px; font-size: 14px">一段</p>',
        '<td style="font-size: 0"><td style="font-size: 0px">',
        '<div style="display: none; font-size: 1px; float: left">一行</div>',
        "<style>@media (max-width: 480px) { p { width: auto } } a:hover { color: red }</style>",
        '<style media="screen">p { width: auto }</style>',
        "<!--[if mso]><style>p { width: auto }</style><table width='700'></table><![endif]-->",
    ],
)
def test_what_keeps_to_the_rules_is_left_alone(written, html):
    assert list(check(written(html))) == []


def test_a_finding_says_what_to_do_and_that_nobody_measured_it(written):
    (finding,) = check(written("<p></p>", "<form></form>"))
    assert finding.where == "plan pro"
    for words in ("<form>", "link to a page", "QQ Mail", "not measured"):
        assert words in finding.message
