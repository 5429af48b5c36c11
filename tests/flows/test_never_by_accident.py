"""A real-looking key without NEWSLETTER_LIVE: nothing but this machine is ever contacted, and it is said so."""

import ipaddress
import subprocess

import pytest

from tests.flows.serving import serving, stored_world, wait_for_the_end
from tests.local_sendgrid import local_sendgrid
from tests.world import addresses


#: Python loads it at the start of every process that finds it; it writes down whom the process looks up and calls.
WATCHER = """
import os, sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        target = args[1] if event in ("socket.connect", "socket.sendto") else args[0]
        with open(os.environ["WATCH_LOG"], "a") as log:
            log.write(f"{target[0] if isinstance(target, tuple) else target}\\n")
sys.addaudithook(watch)
"""
KEY = "SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    world.readers(addresses(250))
    yield world
    world.database.close()


def test_only_this_machine_is_contacted(world, newsletter_command, tmp_path):
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCHER)
    (tmp_path / "contacted").touch()
    environment = {
        "SENDGRID_API_KEY": KEY,
        "PYTHONPATH": str(tmp_path / "watch"),
        "WATCH_LOG": str(tmp_path / "contacted"),
        # A proxy of the machine would carry requests out; the address is reserved for documentation (RFC 5737).
        "http_proxy": "http://192.0.2.1:3128",
        "https_proxy": "http://192.0.2.1:3128",
    }
    mailing_id = world.schedule(world.issue())
    with local_sendgrid(tmp_path / "emulator") as emulator:
        with serving(newsletter_command, tmp_path, emulator, **environment):
            wait_for_the_end(world, mailing_id)
        assert emulator.reached() == addresses(250)
    contacted = set((tmp_path / "contacted").read_text().split())
    assert contacted
    assert all(host == "localhost" or ipaddress.ip_address(host).is_loopback for host in contacted), contacted
    said = (tmp_path / "serve.log").read_text()
    assert "NOT LIVE" in said
    assert KEY not in said
    assert "example.com" not in said


def test_a_second_serve_on_the_same_store_is_refused(world, newsletter_command, tmp_path):
    with local_sendgrid(tmp_path / "emulator") as emulator, serving(newsletter_command, tmp_path, emulator):
        second = subprocess.run(
            [*newsletter_command, "serve", "--port", "0"],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "NEWSLETTER_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert second.returncode == 1
    assert "another `newsletter serve`" in second.stderr
