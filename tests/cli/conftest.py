"""Running commands as an operator would."""

import shutil
import sys
from dataclasses import dataclass

import pytest

from newsletter.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, blank_sqlite):
    """Run a command in an empty folder, as an operator would, though in this process: starting one takes seconds.

    `init` finds tables there already: making them takes as long as a test.
    """
    store = tmp_path / ".newsletter" / "newsletter.db"

    def run(*words, **environment):
        if words[0] == "init" and not store.parent.exists():
            store.parent.mkdir(mode=0o700)
            shutil.copy(blank_sqlite, store)
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", ["newsletter", *words])
            for name, value in environment.items():
                patched.setenv(name, value)
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
            else:
                code = 0
        printed = capsys.readouterr()
        return Answer(code, printed.out, " ".join(printed.err.split()))

    return run
