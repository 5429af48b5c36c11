"""docs/deploy: every command that it names exists, and systemd takes its units."""

import re
import shutil
import subprocess

import pytest
import typer

from newsletter.cli import app
from newsletter.settings import Settings
from tests.conftest import ROOT


PAGE = (ROOT / "docs" / "deploy" / "one-machine.md").read_text(encoding="utf-8")
UNITS = dict(re.findall(r"`/etc/systemd/system/([a-z.-]+)`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL))


def test_every_command_and_option_of_the_page_exists():
    group = typer.main.get_group(app)
    named = re.findall(r"newsletter (init|serve|backup|restore|move|doctor)((?: --[a-z-]+)?)", PAGE)
    assert {name for name, _ in named} == {"init", "serve", "backup", "restore", "move", "doctor"}
    for name, option in named:
        command = group.get_command(typer.Context(group), name)
        assert command is not None
        options = {one for parameter in command.params for one in parameter.opts}
        assert not option.strip() or option.strip() in options, (name, option)


def test_every_setting_of_the_page_exists():
    known = {f"NEWSLETTER_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"NEWSLETTER_[A-Z_]+", PAGE)) <= known


def test_the_grace_is_longer_than_a_call():
    (seconds,) = re.findall(r"TimeoutStopSec=(\d+)", UNITS["newsletter.service"])
    assert int(seconds) > Settings.model_fields["sendgrid_timeout"].default


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path):
    assert set(UNITS) == {"newsletter.service", "newsletter-backup.service", "newsletter-backup.timer"}
    for name, unit in UNITS.items():
        # The command of the page is not installed on this machine.
        (tmp_path / name).write_text(unit.replace("/opt/newsletter/venv/bin/newsletter", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())],  # noqa: S607 - wherever it is
        capture_output=True,
        text=True,
    )
    ours = [line for line in done.stderr.splitlines() if "newsletter" in line]
    assert (done.returncode, ours) == (0, []), done.stderr
