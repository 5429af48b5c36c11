"""A correction by mail: to those who were sent what it mends, once, with what their plan may read."""

import pytest
from sqlmodel import select

from newsletter.delivery.correction_mail import CorrectionOrder, mail_correction
from newsletter.delivery.corrections import correct
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Correction
from newsletter.errors import NotFound, Refused
from newsletter.providers.memory import MemoryProvider
from subscribers.actors import COMMAND_LINE
from tests.world import World, addresses


WRONG = """---
title: 第一期
subject: 写给收件箱的一行
---

## 公开

公开的一段。

## 专享一节

::: plan pro
专享：收入是 12 亿。
:::
"""
RIGHT = WRONG.replace("12 亿", "21 亿")
NOTE = "收入应为 21 亿，原文误作 12 亿。"


@pytest.fixture
def mailed(world: World) -> World:
    """An issue that went to two free readers and one of pro, and is mended."""
    world.readers(addresses(2))
    world.readers(addresses(1, start=2), plan="pro")
    world.schedule(world.issue(WRONG))
    world.begin()
    world.dispatch()
    assert isinstance(world.provider, MemoryProvider)
    world.provider.accepted.clear()
    world.readers(addresses(1, start=3), plan="pro")
    world.issue(RIGHT, revises=1)
    return world


def correction_mailing(world: World, section: str = "", made: Correction | None = None) -> int:
    with world.database.writing() as session:
        if made is None:
            made = correct(session, 1, NOTE, world.workshop, live=False, by=COMMAND_LINE, now=world.clock())
        return mail_correction(session, CorrectionOrder(made, section), by=COMMAND_LINE, now=world.clock()).id


def test_who_was_sent_the_section_gets_the_note_and_the_mended_section(mailed):
    mailing_id = correction_mailing(mailed, "专享一节")
    mailed.begin()
    mailed.dispatch()
    assert mailed.reached() == addresses(1, start=2)
    (message,) = mailed.provider.accepted
    assert message.subject == "更正：第一期"
    assert NOTE in message.html
    assert "21 亿。" in message.text
    assert "公开的一段" not in message.text
    assert "写给收件箱的一行" not in message.html
    assert "List-Unsubscribe" in message.recipients[0].headers
    assert mailed.account(mailing_id).candidates == 1
    assert mailed.mailing(mailing_id).state is MailingState.finished


def test_without_a_section_everybody_who_was_sent_it_gets_the_note_alone(mailed):
    correction_mailing(mailed)
    mailed.begin()
    mailed.dispatch()
    assert mailed.reached() == addresses(3)
    assert all("专享" not in message.text and NOTE in message.text for message in mailed.provider.accepted)


def test_a_correction_goes_once_to_a_reader_and_uses_up_nothing_of_the_issue(mailed):
    first = correction_mailing(mailed)
    mailed.begin()
    mailed.dispatch()
    with mailed.database.reading() as session:
        made = session.exec(select(Correction)).one()
    again = correction_mailing(mailed, made=made)
    mailed.begin()
    assert mailed.dispatch() == 0
    assert mailed.account(again).exclusions == {"already_reached": 3}
    assert mailed.account(first).standing.accepted == 3
    # Who was never sent the issue still can be.
    mailed.provider.accepted.clear()
    mailed.schedule(1)
    mailed.begin()
    mailed.dispatch()
    assert mailed.reached() == addresses(1, start=3)


def test_a_section_that_there_is_not_and_a_mailing_under_way_are_refused(mailed):
    with pytest.raises(NotFound, match="公开; 专享一节"):
        correction_mailing(mailed, "没有这一节")
    correction_mailing(mailed)
    mailed.begin()
    with mailed.database.reading() as session:
        made = session.exec(select(Correction)).one()
    with pytest.raises(Refused, match="is running"):
        correction_mailing(mailed, made=made)
