"""A rehearsal as an operator starts it: beside a running `serve`, with a live key about; nobody real is in it."""

import ipaddress
import json
import os
import subprocess

import pytest

from newsletter.emulator.record import Record
from tests.flows.serving import serving, stored_world
from tests.flows.test_never_by_accident import KEY, WATCHER
from tests.local_sendgrid import local_sendgrid
from tests.rehearsal.audience import (
    COUNT,
    EXCLUSIONS,
    make_audience,
    nobody_is_real,
    secrets_of_the_audience,
)
from tests.tables import everything


RECIPIENTS = COUNT + 1 - sum(EXCLUSIONS.values())


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    make_audience(world)
    yield world
    world.database.close()


def rehearse(command, folder, *words, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}
    return subprocess.run(
        [*command, "mailing", "rehearse", *words],
        cwd=folder,
        env=clean | {"NEWSLETTER_DATA_DIR": str(folder), "NEWSLETTER_BATCH_SIZE": "10"} | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def written_in(folder):
    """Give every byte of a rehearsal's folder, and its mails as they would have been read."""
    yield from (file.read_bytes() for file in folder.rglob("*") if file.is_file())
    record = Record(folder / "emulator")
    yield from (json.dumps(vars(one), ensure_ascii=False).encode() for one in record.everything())
    record.close()


def test_a_rehearsal_beside_a_running_service(world, newsletter_command, tmp_path):
    issue, keep = world.issue(), tmp_path / "kept"
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCHER)
    (tmp_path / "contacted").touch()
    environment = {
        "SENDGRID_API_KEY": KEY,
        "NEWSLETTER_LIVE": "true",
        "NEWSLETTER_PUBLIC_URL": "https://n.example.com",
        "NEWSLETTER_ALERT_HOOKS": "https://hook.example.com/#whsec_" + "a" * 40,
        "PYTHONPATH": f"{tmp_path / 'watch'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "WATCH_LOG": str(tmp_path / "contacted"),
    }
    with local_sendgrid(tmp_path / "emulator") as emulator, serving(newsletter_command, tmp_path, emulator):
        before = everything(world.database)
        words = (str(issue), "--json", "--record", "--keep", str(keep))
        answer = rehearse(newsletter_command, tmp_path, *words, **environment)
        assert everything(world.database) == before
        assert emulator.reached() == []
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told["candidates"] == COUNT + 1
    assert told["exclusions"] == EXCLUSIONS
    assert told["recipients"] == told["accepted"] == RECIPIENTS
    assert (told["missing"], told["received_more_than_once"], told["went_wrong"]) == (0, 0, [])
    assert sum(one["recipients"] for one in told["lanes"]) == sum(one["recipients"] for one in told["plans"])
    assert {one["lane"] for one in told["lanes"]} == {"qq", "netease", "gmail", "china_mobile", "other"}
    assert told["requests"] == sum(one["requests"] for one in told["lanes"])
    assert told["bytes"] >= told["largest_request"] > 1000

    contacted = set((tmp_path / "contacted").read_text().split())
    assert contacted
    assert all(host == "localhost" or ipaddress.ip_address(host).is_loopback for host in contacted), contacted

    record = Record(keep / "emulator")
    delivered = list(record.everything())
    record.close()
    assert len(delivered) == RECIPIENTS
    assert nobody_is_real([one.to for one in delivered])
    everywhere = [*written_in(keep), answer.stdout.encode(), answer.stderr.encode()]
    assert any(b"rehearsal.invalid" in one for one in everywhere)
    found = [secret for secret in secrets_of_the_audience() for one in everywhere if secret in one]
    assert found == []
    assert KEY.encode() not in b"".join(everywhere)


def test_a_rehearsal_leaves_nothing_and_may_be_repeated(world, newsletter_command, tmp_path):
    issue = world.issue()
    (tmp_path / "tmp").mkdir()
    environment = {"TMPDIR": str(tmp_path / "tmp")}
    for _ in range(2):
        answer = rehearse(newsletter_command, tmp_path, str(issue), "--audience", "plan=pro", **environment)
        assert answer.returncode == 0, answer.stderr
        assert "18 recipients = 18 accepted by SendGrid + 0 skipped + 0 rejected + 0 unknown" in answer.stdout
        assert "By mailbox provider" in answer.stdout
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_could_not_be_mailed_is_not_rehearsed(world, newsletter_command, tmp_path):
    issue = world.issue("题\n\n{{ nothing_like_this }}\n")
    answer = rehearse(newsletter_command, tmp_path, str(issue), "--json")
    assert answer.returncode == 1
    assert "cannot be mailed as it is" in answer.stderr


def test_a_folder_that_holds_something_is_not_touched(world, newsletter_command, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    answer = rehearse(newsletter_command, tmp_path, str(world.issue()), "--keep", "mine")
    assert answer.returncode == 1
    assert "not empty" in answer.stderr
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letter.txt"]
