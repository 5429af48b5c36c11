"""`subscribers consent`, `export-person` and `erase`: all that is held is given, proven and forgotten."""

import json

import pytest
from sqlmodel import SQLModel

from newsletter.cli.person import document_of
from newsletter.composition import Service
from newsletter.outbox import Notice
from newsletter.providers.memory import MemoryProvider
from newsletter.settings import Settings
from subscribers.models import SuppressionReason
from tests.feedback.said import Feedback
from tests.flows.serving import stored_world
from tests.known_person import (
    AGENT,
    EMAIL,
    IP,
    NAME,
    TYPED,
    WORDS,
    leave_out_of,
    move,
    sign_up_known,
    suppress,
)
from tests.world import make_world


NEW = "li.na@mail.example.org"


@pytest.fixture
def world(tmp_path):
    """The store that commands find in their folder."""
    folder = tmp_path / ".newsletter"
    folder.mkdir()
    world = stored_world(folder)
    world.clock.now = world.clock.now.replace(2020, 11, 23, 1, 0, 0, 0)
    yield world
    world.database.close()


@pytest.fixture
def known(world):
    return sign_up_known(world)


#: Columns that say who or which plan, publication or text by a number; the document says it in words.
BY_NUMBER = {"subscriber_id", "subscription_id", "event_id", "plan_id", "publication_id", "consent_text_id"}
NAMES_PEOPLE = {"subscriber_id", "subscription_id", "event_id"}


def leaves(value):
    """Every value that stands anywhere in a document."""
    if isinstance(value, dict):
        return {found for one in value.values() for found in leaves(one)} | set(value)
    if isinstance(value, list | tuple):
        return {found for one in value for found in leaves(one)}
    return {value}


def plain(value):
    return leaves(value) if isinstance(value, dict | list) else {value}


def test_everything_that_is_held_of_a_person_is_in_the_document(store, tmp_path):
    """Whoever adds a table that names people puts a row of the person's into it here, and into the document."""
    world = make_world(store, MemoryProvider())
    known = sign_up_known(world)
    move(world, known, NEW, clicks=False)
    mailing_id = world.running()
    world.dispatch()
    feedback = Feedback(world)
    (said,) = feedback.of(mailing_id).values()
    feedback.say(feedback.event(said, "bounce", world.clock(), status="5.1.1", type="bounce", reason="550 gone"))
    suppress(world, EMAIL, SuppressionReason.soft_bounces)
    leave_out_of(world, known, world.schedule(world.issue("# 第二期\n\n一段。\n")))
    service = Service(Settings(_env_file=None, data_dir=tmp_path, address_pepper="sixteen bytes or more"))
    with store.reading() as session:
        document = document_of(session, service, TYPED, now=world.clock())
        said = leaves(document)
        for table in SQLModel.metadata.sorted_tables:
            if not NAMES_PEOPLE & set(table.columns.keys()):
                continue
            rows = session.execute(table.select()).mappings().all()
            assert rows, f"there is no row of the person in {table.name}"
            for row in rows:
                for column, value in row.items():
                    if column not in BY_NUMBER and value is not None:
                        assert plain(value) <= said, f"{table.name}.{column}"
    assert [one["mailing_id"] for one in document["deliveries"]] == [mailing_id]
    assert document["deliveries"][0]["outcome"] == "accepted"
    assert document["deliveries"][0]["title"] == "测试周报：第一期"
    assert document["subscriptions"][0]["unsubscribe_url"].endswith(document["subscriptions"][0]["unsubscribe_id"])
    assert {one["reason"] for one in document["suppressions"]} >= {"soft_bounces", "hard_bounce"}


def test_the_person_is_written_into_a_file_that_only_the_operator_reads(run, known, tmp_path):
    (tmp_path / "person.json").touch(mode=0o644)
    answer = run("subscribers", "export-person", TYPED.upper(), "--out", "person.json")
    assert (answer.returncode, answer.stdout.startswith("person.json: 1 subscriptions")) == (0, True)
    assert (tmp_path / "person.json").stat().st_mode & 0o777 == 0o600
    document = json.loads((tmp_path / "person.json").read_text(encoding="utf-8"))
    assert (document["person"]["name"], document["person"]["address_typed"]) == (NAME, TYPED)
    printed = run("subscribers", "export-person", EMAIL)
    assert json.loads(printed.stdout) | {"gathered_at": 0, "address": 0} == document | {"gathered_at": 0, "address": 0}


def test_somebody_of_whom_nothing_is_held_is_told_so(run, known):
    document = json.loads(run("subscribers", "export-person", "nobody@example.com").stdout)
    assert document["person"] is None
    assert not any(value for value in document.values() if isinstance(value, list))


def test_the_proof_for_a_regulator_says_what_was_shown_asked_and_confirmed(run, known):
    answer = run("subscribers", "consent", EMAIL)
    assert answer.returncode == 0
    for said in (
        "测试刊 (weekly)",
        "2020-11-23 01:00:00 UTC (2020-11-23 09:00:00 Asia/Shanghai): asked to subscribe",
        "我同意每周收到《测试刊》。 / 我可以随时退订。",
        "version 1 in zh-CN",
        WORDS.sha256,
        "https://news.example.com/privacy version 3",
        "https://news.example.com/sign-up/weekly",
        "每周一",
        "free (free)",
        TYPED,
        IP,
        AGENT,
        "message id: a-message-id",
        "confirm link",
    ):
        assert said in answer.stdout, said


def test_the_proof_as_json_holds_no_link_that_acts_for_the_reader(run, known, world):
    answer = run("subscribers", "consent", EMAIL, "--publication", "weekly", "--json")
    proof = json.loads(answer.stdout)
    kinds = [one["kind"] for one in proof["consent"][0]["ledger"]]
    assert kinds == ["asked", "confirmed", "confirm_sent"]
    assert proof["consent"][0]["ledger"][0]["words"]["text"] == WORDS.text
    assert "unsubscribe_id" not in proof["consent"][0]["subscription"]


def test_a_withdrawal_is_part_of_the_proof(run, known):
    run("subscribers", "unsubscribe", EMAIL)
    said = run("subscribers", "consent", EMAIL).stdout
    assert "withdrew consent: left" in said
    assert "source: operator" in said


def test_of_an_erased_address_what_remains_true_is_said(run, known):
    assert run("subscribers", "erase", EMAIL, "--yes").returncode == 0
    said = run("subscribers", "consent", EMAIL).stdout
    assert "Nobody of this address is stored" in said
    assert "Erased; suppressed everywhere since 20" in said
    assert json.loads(run("subscribers", "consent", EMAIL, "--json").stdout)["consent"] == []


def test_an_address_of_before_is_found_in_the_proofs_of_its_reader(run, known, world):
    move(world, known, NEW)
    said = run("subscribers", "consent", EMAIL).stdout
    assert "Nobody of this address is stored" in said
    assert "was a reader's address until then" in said
    assert NEW not in said


def test_erasing_says_what_goes_and_asks(run, known, world):
    world.running()
    answer = run("subscribers", "erase", EMAIL)
    assert answer.returncode == 1
    assert "--yes" in answer.stderr
    assert answer.stdout == "weekly: confirmed, plan free; deliveries that stay as bare numbers: 1.\n"
    assert EMAIL not in answer.stdout + answer.stderr
    assert run("subscribers", "show", EMAIL).returncode == 0


def test_erasing_drops_what_waits_in_the_outbox(run, known, world):
    answer = run("subscribers", "erase", EMAIL, "--yes")
    assert answer.returncode == 0, answer.stderr
    assert "is erased (subscriptions: 1, of them live: 1)" in answer.stdout
    assert "Nothing is left in the database's files." in answer.stdout
    assert EMAIL.lower() not in (answer.stdout + answer.stderr).lower()
    with world.database.reading() as session:
        notice = session.get_one(Notice, known.notice_id)
    assert (notice.state, notice.reason) == ("dropped", "erased")


def test_erasing_twice_and_erasing_a_stranger_is_fine(run, known):
    run("subscribers", "erase", EMAIL, "--yes")
    again = run("subscribers", "erase", EMAIL, "--yes")
    assert (again.returncode, "was suppressed everywhere already" in again.stdout) == (0, True)
    stranger = run("subscribers", "erase", "nobody@example.com", "--yes")
    assert (stranger.returncode, "is suppressed everywhere from now on" in stranger.stdout) == (0, True)


def test_a_mistyped_address_is_refused(run, known):
    for command in ("erase", "consent", "export-person"):
        answer = run("subscribers", command, "wang.xiaoming")
        assert answer.returncode == 1
        assert "wang.xiaoming" not in answer.stderr.replace("subscribers", "")
