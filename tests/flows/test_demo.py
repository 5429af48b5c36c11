"""The demo, as the README runs it: its numbers agree with the local SendGrid's own record."""

import json
import os
import subprocess


def run_demo(command, folder, *words, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}
    return subprocess.run(
        [*command, "demo", "--once", *words],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_the_demo_accounts_for_everybody(newsletter_command, tmp_path, weekly_issue):
    words = ("--json", "--issue", str(weekly_issue), "--subscribers", "300")
    answer = run_demo(newsletter_command, tmp_path, *words)
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told["candidates"] == 300 == told["recipients"] + sum(told["exclusions"].values())
    assert set(told["exclusions"]) == {"pending", "suppressed", "unsubscribed"}
    assert told["accepted"] == told["recipients"]
    assert (told["received_more_than_once"], told["missing"], told["unknown"]) == (0, 0, 0)
    # Two pressed a button; whoever complained left, too.
    assert told["left"] == told["unsubscribed"] + told["complained"]
    assert told["unsubscribed"] == 2
    assert told["delivered"] + told["bounced"] == told["accepted"]
    assert min(told["bounced"], told["complained"], told["deferred_once"]) > 0
    following = told["next_mailing"]
    assert following["recipients"] + sum(following["exclusions"].values()) == 300
    # Whose address does not exist is suppressed.
    assert following["exclusions"]["unsubscribed"] == told["exclusions"]["unsubscribed"] + told["left"]
    assert following["exclusions"]["suppressed"] == told["exclusions"]["suppressed"] + told["bounces"].get("hard", 0)
    assert told["next_mailing"]["leavers_mailed"] == 0
    assert told["import"]["invalid"] == 4


def test_the_demo_sees_no_key_and_no_setting_of_the_machine(newsletter_command, tmp_path):
    """Also not from a `.env` in the folder where it runs."""
    (tmp_path / ".env").write_text("NEWSLETTER_LIVE=true\nNEWSLETTER_ALLOW_LIST=nobody@example.com\n")
    key = "SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    answer = run_demo(
        newsletter_command,
        tmp_path,
        "--json",
        "--subscribers",
        "20",
        SENDGRID_API_KEY=key,
        NEWSLETTER_LIVE="true",
        newsletter_live="true",
        sendgrid_api_key=key,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["live"] is False
    assert "NOT LIVE" in answer.stderr


def test_the_demo_does_not_touch_a_folder_that_holds_something(newsletter_command, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    answer = run_demo(newsletter_command, tmp_path, "--data-dir", "mine")
    assert answer.returncode == 1
    assert "not empty" in answer.stderr
    assert (tmp_path / "mine" / "letter.txt").read_text() == "mine"
