"""What every provider does, whichever it is: the real client against the local SendGrid, and the one in memory."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from newsletter.providers.base import Ending, Message, Provider, Recipient
from newsletter.providers.memory import MemoryProvider
from tests.local_sendgrid import local_sendgrid


@dataclass(frozen=True)
class Subject:
    """A provider under test, and how to learn whom it reached."""

    provider: Provider
    reached: Callable[[], list[str]]


@pytest.fixture(params=["sendgrid", "memory"])
def subject(request, tmp_path):
    if request.param == "memory":
        memory = MemoryProvider()
        yield Subject(memory, lambda: sorted(memory.reached()))
        return
    with local_sendgrid(tmp_path) as emulator:
        yield Subject(emulator.provider(), emulator.reached)


def message(*addresses: str) -> Message:
    return Message(
        sender="weekly@news.example.com",
        sender_name="测试刊，第一",
        reply_to="editor@news.example.com",
        subject="第一期 🧪",
        html="<p>你好，-tag-name-</p>",
        text="你好，-tag-name-",
        recipients=tuple(recipient(address) for address in addresses),
        headers={"List-Id": "<weekly.news.example.com>"},
    )


def recipient(address: str) -> Recipient:
    return Recipient(
        address=address,
        name="王, 小明; <明>",
        headers={
            "List-Unsubscribe": "<https://n.example.com/u/abc>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        substitutions={"-tag-name-": "小明"},
        custom_args={"delivery": "1", "attempt_id": "x"},
    )


def test_a_request_is_accepted_whole_and_has_an_id(subject):
    end = subject.provider.submit(message("a@example.com", "b@example.com"))
    assert (end.ending, end.status) == (Ending.accepted, 202)
    assert end.message_id
    assert len(end.message_id) == 22
    assert subject.reached() == ["a@example.com", "b@example.com"]


def test_each_request_has_an_id_of_its_own(subject):
    ids = {subject.provider.submit(message("a@example.com")).message_id for _ in range(3)}
    assert len(ids) == 3


def test_a_thousand_recipients_are_one_request(subject):
    addresses = [f"r{number:04}@example.com" for number in range(1000)]
    assert subject.provider.submit(message(*addresses)).ending is Ending.accepted
    assert subject.reached() == addresses


def test_several_threads_submit_at_once(subject):
    ends = []
    threads = [
        threading.Thread(target=lambda n=n: ends.append(subject.provider.submit(message(f"t{n}@example.com"))))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(end.ending for end in ends) == {Ending.accepted: 8}
    assert len(subject.reached()) == 8


def test_it_has_a_name_for_people(subject):
    assert subject.provider.name
