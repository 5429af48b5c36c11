"""The Node packages of the tests are locked as the Python ones are: exact, with hashes, and from no named host."""

import json
import re

from tests.conftest import ROOT


NODE = ROOT / "tests" / "node"


def test_the_lock_names_no_host():
    lock = (NODE / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in lock
    assert '"resolved"' not in lock


def test_every_package_is_exact_and_has_its_hash():
    wanted = json.loads((NODE / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    packages = json.loads((NODE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert packages.pop("")["devDependencies"] == wanted
    assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())
