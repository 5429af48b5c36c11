"""Erasing while the service runs: no byte of the person is left in the data folder, and no import brings it back."""

import base64
import csv
import json
import os
import subprocess
import time
from urllib.parse import quote

import pytest

from newsletter.outbox import NoticeState
from tests.flows.serving import serving, stored_world, wait_for_the_end
from tests.known_person import EMAIL, NAME, TYPED, sign_up_known
from tests.local_sendgrid import local_sendgrid
from tests.office import Office
from tests.world import addresses


READERS = 2000
#: As somebody who looks for the person would search: as typed, mailed and folded, and as mails and forms encode it.
SPELLINGS = {
    "as typed": TYPED.encode(),
    "as mailed": EMAIL.encode(),
    "lower case": EMAIL.lower().encode(),
    "upper case": EMAIL.upper().encode(),
    "percent-encoded": quote(EMAIL, safe="").encode(),
    "percent-encoded, lower case": quote(EMAIL.lower(), safe="").encode(),
    "as Base64": base64.b64encode(EMAIL.encode()).rstrip(b"="),
    "as Base64, lower case": base64.b64encode(EMAIL.lower().encode()).rstrip(b"="),
    "as UTF-16": EMAIL.encode("utf-16-le"),
    "local part": EMAIL.split("@", maxsplit=1)[0].lower().encode(),
    "name": NAME.encode(),
    "name as JSON": json.dumps(NAME).strip('"').encode(),
}


def spellings_in(folder):
    """Which spellings stand in which files of a folder, byte for byte."""
    return {
        (name, path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if path.is_file()
        for name, spelling in SPELLINGS.items()
        if spelling in path.read_bytes()
    }


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    world.readers(addresses(READERS))
    yield world
    world.database.close()


def newsletter(command, folder, *words):
    """Run a command beside the running service."""
    environment = os.environ | {"NEWSLETTER_DATA_DIR": str(folder)}
    with (folder / "commands.log").open("a", encoding="utf-8") as log:
        done = subprocess.run([*command, *words], cwd=folder, env=environment, capture_output=True, text=True)
        if "--json" not in words:
            log.write(done.stdout)
        log.write(done.stderr)
    return done


def test_no_byte_of_an_erased_person_is_left(world, newsletter_command, tmp_path):
    known = sign_up_known(world)
    office = Office(world, known.subscription_id)
    with local_sendgrid(tmp_path / "emulator") as emulator:
        mailing_id = world.schedule(world.issue())
        with serving(newsletter_command, tmp_path, emulator):
            wait_for_the_end(world, mailing_id)
            for _ in range(200):
                if office.notice(known.notice_id).state is NoticeState.accepted:
                    break
                time.sleep(0.05)
            assert emulator.reached().count(EMAIL) == 2
            found = spellings_in(tmp_path)
            done = newsletter(newsletter_command, tmp_path, "subscribers", "erase", EMAIL, "--yes")
            assert done.returncode == 0, done.stderr
            left = spellings_in(tmp_path)
        assert len(emulator.reached()) == READERS
    assert {name for name, _ in found} >= {"as typed", "as mailed", "lower case", "name"}
    assert {file.split("-")[0] for _, file in found} >= {"newsletter.db", "emulator/record.db"}
    assert left == set()
    assert spellings_in(tmp_path) == set()
    assert "is erased (subscriptions: 1, of them live: 1)" in done.stdout
    assert "local SendGrid's record: 2." in done.stdout
    assert world.account(mailing_id).standing.accepted == READERS + 1


def test_an_import_of_an_erased_address_is_refused_and_reported(world, newsletter_command, tmp_path):
    sign_up_known(world)
    newsletter(newsletter_command, tmp_path, "subscribers", "erase", TYPED, "--yes")
    (tmp_path / "again.csv").write_text(f"email,name\n{EMAIL.upper()},{NAME}\nnew@example.com,\n", encoding="utf-8")
    words = ("subscribers", "import", "again.csv", "--consent", "test", "--report", "report.csv", "--json")
    done = newsletter(newsletter_command, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["outcome"] for row in rows] == ["suppressed", "added"]
    assert rows[0]["detail"] == "must not be mailed: erased"
    (tmp_path / "again.csv").unlink()
    (tmp_path / "report.csv").unlink()
    assert spellings_in(tmp_path) == set()
