"""`newsletter alerts`: a trial by every way, and the log of what operators were told."""

import base64
import json

from newsletter.notices.hooks import read_hook
from tests.cli.test_doctor import PUBLICATION
from tests.web_hooks import web_hook


SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"


def test_a_trial_says_of_each_way_how_it_went_and_the_log_keeps_it(run):
    assert run("init").returncode == 0
    assert run(*PUBLICATION).returncode == 0
    with web_hook() as hook:
        said = f"{hook.url}/a#{SECRET} wecom+{hook.url}/b"
        hook.answers = [(200, b""), (500, b"")]
        answer = run("alerts", "test", "--json", NEWSLETTER_ALERT_HOOKS=said)
    works, fails = (read_hook(one).name for one in said.split())
    assert answer.returncode == 1
    ways = json.loads(answer.stdout)
    assert {name: (one["state"], one["tries"], one["result"]) for name, one in ways.items()} == {
        works: ("told", 1, "told"),
        fails: ("waiting", 1, "answered 500"),
    }
    (listed,) = json.loads(run("alerts", "list", "--json").stdout)
    assert (listed["kind"], listed["repeats"], listed["ways"]) == ("trial", 0, ways)
