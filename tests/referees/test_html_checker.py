"""The Nu HTML checker, which is behind the W3C's own page, on the rendered mail: nothing but what mail needs.

It is chosen before html-validate since it knows the standard itself, and the CSS in it; a mail takes it two seconds.
Classic Outlook reads more than a browser does, out of comments: that reading is checked as well.
"""

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from newsletter.outbox import NoticeKind
from tests.mails import SAMPLE_ISSUE, SHOWCASE, html_of, notice_html
from tests.referees.tools import command, node_file, not_run


#: What the checker says of every mail, and why we leave it so.
EXCEPTIONS = {
    r"Attribute “xmlns:[vo]” not allowed here\.": "names the languages of what Outlook reads in comments",
    r"CSS: “mso-[a-z-]+”: Property “mso-[a-z-]+” doesn't exist\.": "Outlook's own properties",
    r"The “(align|bgcolor|border|cellpadding|cellspacing|height|valign|width)” attribute on the "
    r"“(body|table|td|th|tr)” element is obsolete\..*": "Outlook and old webmail take these, and not the CSS",
    r"Attribute “clicktracking” not allowed on element “a” at this point\.": "keeps SendGrid off the reader's own link",
    r"The “type” attribute for the “style” element is not needed and should be omitted\.": "MJML writes it; harmless",
}

#: Planted into a mail before its end, and a word of what must be said of it.
DEFECTS = {
    "an image without a text": ("<img src='https://news.example.com/a.png'>", "“alt” attribute"),
    "a paragraph in a link in a link": ("<a href='/a'><p>甲<a href='/b'>乙</a></p></a>", "“a”"),
    "an element that is not closed": ("<div><span>甲</div>", "span"),
    "a cell outside of a row": ("<table><tr><td>甲</td></tr><div>乙</div></table>", "“div”"),
    "an id twice": ("<p id='a'>甲</p><p id='a'>乙</p>", "Duplicate ID"),
    "a property that is not": ("<p style='colour:red'>甲</p>", "“colour”"),
    "a ghost table that is not closed": ("<!--[if mso]><table><tr><td><![endif]-->", "“table”"),
}


def outlook_reading(html: str) -> str:
    """Give the mail's body as classic Outlook reads it: with what stands in comments for it."""
    head, body = html.split("</head>")
    body = re.sub(r"<!--\[if !mso[^\]]*\]><!-->.*?<!--<!\[endif\]-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--\[if [^!\]]*mso[^\]]*\]>(.*?)<!\[endif\]-->", r"\1", body, flags=re.DOTALL)
    return f"{head}</head>{body}"


@pytest.fixture(scope="module")
def said(weekly_issue, tmp_path_factory):
    """What the checker says, by document; all in one run, since starting it takes the most time."""
    mails = {"weekly": html_of(weekly_issue), "sample": html_of(SAMPLE_ISSUE), "showcase": html_of(SHOWCASE)}
    mails |= {"confirm": notice_html(NoticeKind.confirm, "zh-CN"), "renewal": notice_html(NoticeKind.renewal, "en")}
    planted = {
        defect: mails["sample"].replace("</body>", f"{markup}</body>") for defect, (markup, _) in DEFECTS.items()
    }
    browsers = {f"{name}, in a browser": html for name, html in (mails | planted).items()}
    outlook = {f"{name}, in Outlook": outlook_reading(html) for name, html in (mails | planted).items()}
    folder = tmp_path_factory.mktemp("checked")
    documents = list((browsers | outlook).items())
    for number, (_, html) in enumerate(documents):
        (folder / f"{number}.html").write_text(html, encoding="utf-8")
    return {documents[number][0]: messages for number, messages in enumerate(_check(folder, len(documents)))}


def _check(folder: Path, count: int) -> list[list[str]]:
    jar = node_file("vnu-jar/build/dist/vnu.jar")
    # Without the larger stack it gives up on some machines; without the second compiler it is done sooner.
    java: list[str | Path] = [command("java"), "-Xss8m", "-XX:TieredStopAtLevel=1", "-jar", jar]
    options = ["--format", "json", "--stdout", "--exit-zero-always", "--skip-info-messages"]
    files = [folder / f"{number}.html" for number in range(count)]
    run = subprocess.run([*java, *options, *files], capture_output=True, text=True, encoding="utf-8")
    if "UnsupportedClassVersionError" in run.stderr:
        not_run("the HTML checker needs Java 17")
    assert run.returncode == 0, run.stderr
    found = defaultdict[str, list[str]](list)
    for message in json.loads(run.stdout)["messages"]:
        if not any(re.fullmatch(exception, message["message"]) for exception in EXCEPTIONS):
            found[message["url"].rpartition("/")[2]].append(f"{message['message']}\n    {message.get('extract', '')!r}")
    return [found[file.name] for file in files]


@pytest.mark.parametrize("reading", ["in a browser", "in Outlook"])
@pytest.mark.parametrize("mail", ["weekly", "sample", "showcase", "confirm", "renewal"])
def test_the_checker_finds_nothing_but_what_mail_needs(said, mail, reading):
    findings = said[f"{mail}, {reading}"]
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_checker_finds_a_planted_defect(said, defect):
    word = DEFECTS[defect][1]
    assert any(word in finding for finding in said[f"{defect}, in Outlook"])


def test_what_only_outlook_reads_is_not_seen_in_a_browser(said):
    """Hence the second reading."""
    assert not said["a ghost table that is not closed, in a browser"]
