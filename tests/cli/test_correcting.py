"""`newsletter issue correct`: it states whom it reaches, asks, and can go by mail."""

import json

import pytest

from newsletter.composition import utc_now
from newsletter.database import Database
from newsletter.providers.memory import MemoryProvider
from tests.world import ISSUE, addresses, make_world


@pytest.fixture
def mended(run, tmp_path):
    """A file with the mended text of an issue that three readers got, in the store that commands find."""
    assert run("init", NEWSLETTER_ADDRESS_PEPPER="sixteen bytes or more").returncode == 0
    database = Database(f"sqlite:///{tmp_path / '.newsletter' / 'newsletter.db'}")
    world = make_world(database, MemoryProvider())
    world.clock.now = utc_now()
    world.readers(addresses(3))
    world.running()
    world.dispatch()
    database.close()
    file = tmp_path / "mended.md"
    file.write_text(ISSUE.replace("平稳", "不平稳"), encoding="utf-8")
    return str(file)


def test_it_says_whom_it_reached_and_asks(run, mended):
    answer = run("issue", "correct", "1", "--note", "平稳应为不平稳", "--file", mended)
    assert answer.returncode == 1
    assert "reached 3 readers" in answer.stderr
    assert len(json.loads(run("issue", "show", "1", "--json").stdout)["revisions"]) == 1


def test_it_goes_by_mail_with_the_section_and_can_be_undone(run, mended):
    words = ("issue", "correct", "1", "--note", "平稳应为不平稳", "--file", mended, "--mail", "--section", "🧪 一节")
    answer = run(*words, "--undo-minutes", "30", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert "to the 3 readers who were sent it" in answer.stdout
    seen = json.loads(run("mailing", "show", "2", "--json").stdout)
    assert (seen["correction"], seen["section"]) == (1, "🧪 一节")
    assert seen["undo_until"]
    assert "carries correction 1" in run("mailing", "show", "2").stdout
    assert run("mailing", "unschedule", "2", "--yes").returncode == 0


def test_a_wrong_section_changes_nothing(run, mended):
    answer = run("issue", "correct", "1", "--note", "x", "--file", mended, "--mail", "--section", "没有", "--yes")
    assert "there is: 🧪 一节" in answer.stderr
    assert len(json.loads(run("issue", "show", "1", "--json").stdout)["revisions"]) == 1
    assert run("issue", "correct", "1", "--note", "x", "--section", "没有", "--yes").returncode == 2
