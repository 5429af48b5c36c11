"""Where the tools of the outside referees are. Where one is missing, its tests say so, and fail under CI."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


NODE_MODULES = Path(__file__).parents[1] / "node" / "node_modules"


def not_run(reason: str) -> NoReturn:
    """End the test: it cannot be run on this machine, and under CI that is no excuse."""
    if os.environ.get("CI"):
        pytest.fail(f"not run: {reason}")
    pytest.skip(f"not run: {reason}")


def command(*names: str) -> str:
    """Give the path of the first of these commands that is installed."""
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        not_run(f"no {names[0]} on this machine (sh tests/install-referees.sh)")
    return path


def node_file(path: str) -> Path:
    """Give a file of an installed Node package."""
    file = NODE_MODULES / path
    if not file.exists():
        not_run(f"no {path} in tests/node (sh tests/install-referees.sh)")
    return file
