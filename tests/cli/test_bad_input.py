"""Bad input gets a sentence that says what, where and how to mend it, exit 1 or 2, and nothing half-done."""

import socket

import pytest
from sqlmodel import select

from newsletter.database import Database
from newsletter.delivery.models import Mailing
from newsletter.issues.models import Issue


PUBLICATION = [
    "publication",
    "add",
    "weekly",
    "--name",
    "周刊",
    "--sender",
    "weekly@news.example.com",
    "--reply-to",
    "editor@news.example.com",
    "--site-url",
    "https://news.example.com",
    "--postal-address",
    "示例路 1 号",
]


@pytest.fixture
def installation(run, tmp_path):
    """An initialised store with a publication."""
    assert run("init").returncode == 0
    assert run(*PUBLICATION).returncode == 0
    return tmp_path


def test_before_init_every_command_says_to_run_it(run):
    answer = run("publication", "list")
    assert answer.returncode == 1
    assert "newsletter init" in answer.stderr
    answer = run("serve")
    assert answer.returncode == 1
    assert "newsletter init" in answer.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (b"\x00\x01\x02PNG", "binary"),
        ("# 标题".encode("gb18030"), "UTF-8"),
        (b"---\ntitle: [unclosed\n---\ntext", "front matter"),
        (b"---\nfoo: bar\n---\n# T", "foo"),
        ("没有标题的一段话。\n\n又一段。\n".encode(), "title"),
    ],
)
def test_an_issue_that_cannot_be_read_is_refused_and_nothing_is_stored(run, installation, content, says):
    if content is not None:
        (installation / "issue.md").write_bytes(content)
    answer = run("issue", "add", "issue.md")
    assert answer.returncode == 1, answer.stdout
    assert says in answer.stderr
    database = Database(f"sqlite:///{installation}/.newsletter/newsletter.db")
    with database.reading() as session:
        assert session.exec(select(Issue)).all() == []
    database.close()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"", "empty"),
        (b"name,plan\nA,free\n", "name"),
        (b"email\n\xff\xfe\n", "UTF-8"),
    ],
)
def test_a_file_of_readers_that_cannot_be_read_is_refused(run, installation, content, says):
    if content is not None:
        (installation / "readers.csv").write_bytes(content)
    answer = run("subscribers", "import", "readers.csv", "--consent", "test")
    assert answer.returncode == 1
    assert says in answer.stderr


def test_bad_rows_are_accounted_for_and_the_others_imported(run, installation):
    (installation / "readers.csv").write_text("email,name\na@example.com,A\nnot an address,B\na＠example.com,A\n")
    answer = run("subscribers", "import", "readers.csv", "--consent", "test", "--json", "--report", "report.csv")
    assert answer.returncode == 0
    assert '"added":1' in answer.stdout
    assert '"invalid":1' in answer.stdout
    assert len((installation / "report.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("missing", ["--reply-to", "--site-url", "--postal-address"])
def test_an_incomplete_publication_is_not_mailed(run, tmp_path, missing):
    run("init")
    words = list(PUBLICATION)
    at = words.index(missing)
    del words[at : at + 2]
    run(*words)
    (tmp_path / "issue.md").write_text("# 标题\n\n一段话。\n")
    assert run("issue", "add", "issue.md").returncode == 0
    answer = run("mailing", "schedule", "1", "--now", "--yes")
    assert answer.returncode == 1
    assert missing.removeprefix("--").replace("-", " ") in answer.stderr
    database = Database(f"sqlite:///{tmp_path}/.newsletter/newsletter.db")
    with database.reading() as session:
        assert session.exec(select(Mailing)).all() == []
    database.close()


@pytest.mark.parametrize(
    ("at", "says"),
    [("yesterday", "no time"), ("2020-01-01T09:00", "past"), ("2026-02-30T09:00", "no time")],
)
def test_a_time_that_cannot_be_is_refused(run, installation, at, says):
    (installation / "issue.md").write_text("# 标题\n\n一段话。\n")
    run("issue", "add", "issue.md")
    answer = run("mailing", "schedule", "1", "--at", at)
    assert answer.returncode == 1
    assert says in answer.stderr


def test_saying_neither_when_nor_now_is_a_matter_of_usage(run, installation):
    assert run("mailing", "schedule", "1").returncode == 2


def test_without_yes_and_without_a_person_nothing_is_mailed(run, installation):
    (installation / "issue.md").write_text("# 标题\n\n一段话。\n")
    run("issue", "add", "issue.md")
    answer = run("mailing", "schedule", "1", "--now")
    assert answer.returncode == 1
    assert "--yes" in answer.stderr


def test_a_port_in_use_is_named(run, installation):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in ("serve", "emulator"):
            answer = run(command, "--port", port)
            assert answer.returncode == 1
            assert port in answer.stderr


def test_a_store_of_a_newer_version_is_refused(run, installation):
    database = Database(f"sqlite:///{installation}/.newsletter/newsletter.db")
    with database.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for command in ("init", "serve"):
        answer = run(command)
        assert answer.returncode == 1
        assert "newer version" in answer.stderr


def test_a_bad_setting_is_named(run):
    answer = run("init", NEWSLETTER_EMULATOR_URL="http://mail.example.com")
    assert answer.returncode == 1
    assert "NEWSLETTER_EMULATOR_URL" in answer.stderr


def test_live_without_a_public_https_address_is_refused(run):
    answer = run("init", NEWSLETTER_LIVE="true", SENDGRID_API_KEY="SG.x.y")
    assert answer.returncode == 1
    assert "NEWSLETTER_PUBLIC_URL" in answer.stderr


def test_a_real_looking_key_without_live_says_not_live(run):
    answer = run("init", SENDGRID_API_KEY="SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
    assert answer.returncode == 0
    assert "NOT LIVE" in answer.stderr
