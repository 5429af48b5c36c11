"""`newsletter backup`, `restore`, `move`, and keys that are not the store's: as an operator meets them."""

import json
import os
import subprocess

import pytest
from sqlmodel import select

from newsletter.composition import machine_of
from newsletter.hosts import HoldKind, open_holds
from newsletter.link_keys import required_link_keys
from newsletter.settings import Settings
from subscribers.models import HashKey
from tests.flows.serving import serving, stored_world
from tests.local_sendgrid import local_sendgrid
from tests.world import addresses


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    world.readers(addresses(3))
    yield world
    world.database.close()


@pytest.fixture
def home(run, tmp_path):
    """Run a command on the world's store."""

    def do(*words, **settings):
        return run(*words, NEWSLETTER_DATA_DIR=str(tmp_path), **settings)

    return do


def held(world):
    with world.database.reading() as session:
        return [one.kind for one in open_holds(session)]


def test_a_backup_says_what_it_needs_and_keeps_so_many(world, home, tmp_path):
    home("init")
    for _ in range(3):
        answer = home("backup", "--to", str(tmp_path / "kept"), "--keep", "1")
        assert answer.returncode == 0, answer.stderr
    assert len(list((tmp_path / "kept").glob("*.backup"))) == 1
    assert "verified; 3 readers" in answer.stdout
    assert f"peppers {world.hasher.key_id}" in answer.stdout
    said = json.loads(home("backup", "--json").stdout)
    assert said["counts"]["subscriber"] == 3
    assert said["link_keys"]


def test_a_handed_over_store_mails_nothing_until_it_is_taken_back(world, home, tmp_path):
    assert home("backup", "--handover").returncode == 1
    assert held(world) == []
    answer = home("backup", "--handover", "--yes")
    assert "This host is retired" in answer.stdout
    assert held(world) == [HoldKind.retired]
    assert "handed over to another host" in home("move").stdout
    mailing_id = world.schedule(world.issue())
    shown = home("mailing", "show", str(mailing_id))
    assert "NOTHING IS MAILED: the store was handed over" in " ".join(shown.stdout.split())
    released = json.loads(home("move", "--release", "--yes", "--json").stdout)
    assert released["released"]
    assert [one["kind"] for one in released["held"]] == ["retired"]
    assert [(one["mailing"], one["readers"]) for one in released["goes_out"]] == [(mailing_id, 3)]
    assert held(world) == []
    assert "is not held" in home("move").stdout


def test_restoring_refuses_what_it_cannot_use_and_changes_nothing(world, home, tmp_path):
    home("init")
    file = json.loads(home("backup", "--json").stdout)["file"]
    world.readers(["later@example.com"])
    other = home("restore", file, "--yes", NEWSLETTER_ADDRESS_PEPPER="another secret of the tests")
    assert other.returncode == 1
    assert f"with the id {world.hasher.key_id}" in other.stderr
    other = home("restore", file, "--yes", NEWSLETTER_LINK_KEY="another secret of the tests")
    assert "NEWSLETTER_LINK_KEY (or the file `link-key`) with the id" in other.stderr
    asked = home("restore", file)
    assert "The present store is kept aside" in asked.stderr
    assert json.loads(home("subscribers", "list", "--json").stdout)[-1]["id"] == 4
    assert home("restore", file, "--yes").returncode == 0
    world.database.close()
    assert json.loads(home("subscribers", "list", "--json").stdout)[-1]["id"] == 3
    assert [one for one in tmp_path.iterdir() if one.name.startswith("newsletter.db.before-")]


def test_a_backup_comes_back_on_a_machine_that_has_no_store(world, home, run, tmp_path):
    home("init")
    file = json.loads(home("backup", "--json").stdout)["file"]
    other = tmp_path / "other"
    other.mkdir()
    for secret in ("pepper", "link-key"):
        (other / secret).write_bytes((tmp_path / secret).read_bytes())
    answer = run("restore", file, "--yes", NEWSLETTER_DATA_DIR=str(other))
    assert answer.returncode == 0, answer.stderr
    assert "THE JOURNAL DOES NOT KNOW THIS BACKUP" in answer.stdout
    assert "restored from a backup" in run("move", NEWSLETTER_DATA_DIR=str(other)).stdout


def test_serve_refuses_other_link_keys_than_the_stores(world, home, newsletter_command, tmp_path):
    home("init")
    environment = os.environ | {"NEWSLETTER_DATA_DIR": str(tmp_path), "NEWSLETTER_PORT": "0"}
    environment |= {"NEWSLETTER_LINK_KEY": "another secret of the tests"}
    done = subprocess.run([*newsletter_command, "serve"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "link keys are missing that signed links in mails" in done.stderr
    # The unit runs `init` before `serve`: it must not make the wrong key one of the store's.
    assert "link keys are missing" in home("init", NEWSLETTER_LINK_KEY="another secret of the tests").stderr
    assert home("init").returncode == 0
    with world.database.reading() as session:
        assert len(required_link_keys(session, now=world.clock())) == 1
    home("init", "--forget-link-keys", NEWSLETTER_LINK_KEY="another secret of the tests")
    assert home("backup", NEWSLETTER_LINK_KEY="another secret of the tests").returncode == 0


def test_init_refuses_another_pepper_and_notes_nothing(world, home):
    home("init")
    other = home("init", NEWSLETTER_ADDRESS_PEPPER="another secret of the tests")
    assert other.returncode == 1
    assert home("init").returncode == 0
    with world.database.reading() as session:
        assert session.exec(select(HashKey.id)).all() == [world.hasher.key_id]


def test_a_copied_data_folder_does_not_bring_its_machine_along(tmp_path):
    """Where the system has no id, nothing in the folder stands for one."""
    settings = Settings(_env_file=None, data_dir=tmp_path)
    (tmp_path / "machine").write_text("copied with the store")
    for said in (None, "", "uninitialized\n"):
        nowhere = tmp_path / "id"
        if said is not None:
            nowhere.write_text(said)
        assert machine_of(settings, nowhere) == machine_of(Settings(_env_file=None), tmp_path / "none")
    assert {one.name for one in tmp_path.iterdir()} == {"machine", "id"}
    named = settings.model_copy(update={"machine_id": "a word of our own"})
    (tmp_path / "id").write_text("0123456789abcdef0123456789abcdef\n")
    assert len({machine_of(one, tmp_path / "id") for one in (settings, named)}) == 2


def test_a_store_that_wakes_on_another_machine_is_held(world, newsletter_command, tmp_path, tmp_path_factory):
    with local_sendgrid(tmp_path_factory.mktemp("emulator")) as emulator:
        with serving(newsletter_command, tmp_path, emulator, NEWSLETTER_MACHINE_ID="one"):
            assert held(world) == []
        with serving(newsletter_command, tmp_path, emulator, NEWSLETTER_MACHINE_ID="two"):
            assert held(world) == [HoldKind.moved]
    assert "HELD" in (tmp_path / "serve.log").read_text()
