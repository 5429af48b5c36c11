"""Every link of every notice leads to a page that is there, and changes no row by being looked at."""

import re
from dataclasses import replace

import pytest

from newsletter.notices.dispatch import send_next
from newsletter.outbox import FACTS, NoticeKind
from newsletter.rendering.mail import links_in
from tests.office import SITE, WORDS, Office


@pytest.mark.parametrize("kind", NoticeKind)
def test_the_links_of_a_notice_open_and_change_nothing(site, kind):
    mailing_id = site.world.running()
    site.world.dispatch()
    office = Office(site.world, site.reader().id)
    facts = {name: WORDS[name] for name in FACTS[kind] - {"event_id"}}
    # A kind with an event names the one that the office makes for it.
    changes = {} if "event_id" in FACTS[kind] else {"detail": facts | {"mailing_id": str(mailing_id)}}
    office.put(kind, **changes)
    desk = replace(office.desk, stationery=replace(office.desk.stationery, signer=site.service.signer))
    assert send_next(desk)
    mail = office.provider.accepted[-1]
    (reader,) = mail.recipients
    links = {
        *links_in(mail.html),
        *re.findall(r"https://[^\s>]+", mail.text + str(dict(reader.headers)).replace("'", " ")),
    }
    ours = [link.removeprefix(SITE) for link in links if link.startswith(SITE)]
    assert ours
    before = site.everything()
    for link in ours:
        for method in ("GET", "HEAD"):
            assert site.browser.request(method, link).status_code == 200, link
    assert site.everything() == before
