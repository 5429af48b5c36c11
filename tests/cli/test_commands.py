"""The table of commands: each is where it says, and a call loads no more than it needs."""

import subprocess
import sys

import pytest
import typer

from newsletter.cli import app


GROUP = typer.main.get_group(app)
CONTEXT = typer.Context(GROUP)


@pytest.mark.parametrize("name", GROUP.list_commands(CONTEXT))
def test_a_command_is_where_the_table_says_under_its_name(name):
    command = GROUP.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str()


def test_the_groups_have_the_commands_that_are_beside_them():
    named = {
        "publication": "snippet",
        "issue": "ready panel correct",
        "mailing": "rehearse show unschedule pause cancel go settle",
        "subscribers": "find consent export-person erase set-plan tag set attributes import export",
    }
    for name, beside in named.items():
        group = GROUP.get_command(CONTEXT, name)
        assert isinstance(group, typer.core.TyperGroup)
        assert set(beside.split()) <= set(group.list_commands(CONTEXT))


def test_there_is_no_command_that_is_not_in_the_table():
    assert GROUP.get_command(CONTEXT, "nothing") is None


def test_a_start_loads_no_web_server_scheduler_or_local_sendgrid():
    """They take a third as long again as all the rest, and most commands have no use for them."""
    program = """
import sys
from newsletter.cli import main
sys.argv = ["newsletter", "slots", "list", "--help"]
try:
    main()
finally:
    print("loaded:", *sorted({one.split(".")[0] for one in sys.modules} & {"fastapi", "apscheduler", "uvicorn"}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "Usage: newsletter slots list" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded:"
