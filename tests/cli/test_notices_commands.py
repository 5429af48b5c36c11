"""`newsletter notices`: the list shows no address, and every kind can be looked at without mailing anybody."""

import json

import pytest

from newsletter.composition import Service
from newsletter.database import Database
from newsletter.outbox import NoticeKind
from newsletter.settings import Settings
from tests.office import READER_ADDRESS, make_office


@pytest.fixture
def office(run, tmp_path):
    """An office on the store that the commands find."""
    assert run("init").returncode == 0
    folder = tmp_path / ".newsletter"
    hasher = Service(Settings(_env_file=None, data_dir=folder)).hasher
    office = make_office(Database(f"sqlite:///{folder}/newsletter.db"), hasher)
    yield office
    office.world.database.close()


def test_the_list_shows_what_became_of_notices_and_nobodys_address(run, office):
    office.put(NoticeKind.confirm)
    office.send()
    office.put(NoticeKind.welcome)
    listed = run("notices", "list", "--json")
    rows = json.loads(listed.stdout)
    assert [(row["kind"], row["state"], row["address"]) for row in rows] == [
        ("welcome", "waiting", "w***@q**.com"),
        ("confirm", "accepted", "w***@q**.com"),
    ]
    assert rows[0]["publication"] == "weekly"
    assert READER_ADDRESS not in listed.stdout + run("notices", "list").stdout
    only = json.loads(run("notices", "list", "--state", "waiting", "--publication", "weekly", "--json").stdout)
    assert [row["kind"] for row in only] == ["welcome"]


def test_a_state_that_is_none_is_a_slip_of_the_hand(run, office):
    assert run("notices", "list", "--state", "sent").returncode == 2


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_every_kind_is_written_as_files(run, office, tmp_path, locale):
    for kind in NoticeKind:
        written = run("notices", "render", kind, "--locale", locale, "--out", "out")
        assert written.returncode == 0, written.stderr
        about = json.loads((tmp_path / "out" / f"{kind}.json").read_text())
        assert about["subject"] in written.stdout
        assert all(link.startswith("https://example.com/") for link in about["links"])
        assert f'lang="{locale}"' in (tmp_path / "out" / f"{kind}.html").read_text()
        assert (tmp_path / "out" / f"{kind}.mjml").exists()
        assert (tmp_path / "out" / f"{kind}.txt").exists()
    assert office.send() == 0
