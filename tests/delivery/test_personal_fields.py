"""A reader's own values reach subject, text and HTML, each as the place needs them, and no header is ever broken."""

from email import message_from_bytes
from email.policy import default

import pytest

from newsletter.providers.memory import MemoryProvider
from newsletter.rendering.personalisation import fill
from subscribers.actors import COMMAND_LINE
from subscribers.csv_rows import Row
from subscribers.importing import import_rows
from subscribers.judging import ImportTerms
from tests.referees.mails import as_sent
from tests.world import make_world


ISSUE = """---
title: "{{ name | default('朋友') }}的周报"
preheader: 写给 {{ name }}
number: 7
---
{{ name }}，这是{{ publication }}第 {{ number }} 期，方案 {{ plan }}。[退订]({{ unsubscribe_url }})
"""


@pytest.fixture
def world(store):
    return make_world(store, MemoryProvider())


def sent(world, name):
    terms = ImportTerms(world.publication.id, "test.csv", "test", "free", confirmed=True)
    with world.database.writing() as session:
        row = Row(2, "r@example.com", name)
        import_rows(session, [row], terms, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())
    world.schedule(world.issue(ISSUE))
    world.begin()
    world.dispatch()
    (message,) = world.provider.accepted
    return message, message.recipients[0].substitutions


@pytest.mark.parametrize(
    ("name", "subject", "in_html"),
    [
        ("王小明", "王小明的周报", "王小明，这是测试刊第 7 期，方案 free。"),
        ("", "朋友的周报", "读者，这是测试刊第 7 期，方案 free。"),
        ("<b>A & B</b>", "<b>A & B</b>的周报", "&lt;b&gt;A &amp; B&lt;/b&gt;，这是"),
        ("x\r\nBcc: evil@example.com", "x Bcc: evil@example.com的周报", "x Bcc: evil@example.com，这是"),
        ("\u202egnp.exe", "gnp.exe的周报", "gnp.exe，这是"),
    ],
)
def test_a_value_lands_as_its_place_needs_it(world, name, subject, in_html):
    message, substitutions = sent(world, name)
    assert fill(message.subject, substitutions) == subject
    assert in_html in fill(message.html, substitutions)
    assert not any(set(value) & set("\r\n") for value in substitutions.values())


def test_no_name_can_begin_a_header(world):
    message, _ = sent(world, "x\r\nBcc: evil@example.com")
    mail = message_from_bytes(as_sent(message), policy=default)
    assert mail["Bcc"] is None
    assert len(mail.get_all("Subject", [])) == 1


def test_only_tags_that_stand_in_the_mail_are_sent_along(world):
    message, substitutions = sent(world, "王小明")
    for tag in substitutions:
        assert tag in message.subject + message.html + message.text
