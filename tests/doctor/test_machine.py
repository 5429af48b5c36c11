"""The store, the secrets, the disk and who may read what lies on it."""

import shutil
from collections import namedtuple
from dataclasses import replace

import pytest
from pydantic import SecretStr

from newsletter.database import Database
from newsletter.doctor import machine
from newsletter.errors import Misconfigured
from subscribers.hashing import AddressHasher
from tests.doctor.conftest import PUBLIC


Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - what shutil answers


def changed(ward, **fields):
    ward.patient = replace(ward.patient, **fields)


def test_a_store_that_is_not_there_yet_is_one_problem_and_is_not_made(ward, tmp_path):
    changed(ward, database=None)
    assert "newsletter init" in ward.says("store")
    assert ward.status("publication") == "skipped"
    assert ward.status("disk") == "ok"


def test_a_store_of_another_version_is_one_problem(ward, tmp_path):
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    changed(ward, database=empty)
    assert "is empty: create it with `newsletter init`" in ward.says("store")
    assert ward.status("spf") == "skipped"
    empty.close()


def test_another_pepper_than_the_stores_is_a_problem(ward):
    changed(ward, hasher=lambda: AddressHasher(b"another sixteen bytes"))
    assert ward.status("secrets") == "problem"


def test_secrets_that_are_nowhere_are_not_made_by_looking(ward):
    ward.set(address_pepper=SecretStr(""), link_key=SecretStr(""))
    assert "pepper and link-key: neither set nor in" in ward.says("secrets")
    assert list(ward.folder.iterdir()) == []


def test_an_emptied_secret_is_told_in_its_own_words(ward):
    def broken():
        raise Misconfigured("pepper is empty: restore it from a backup")

    changed(ward, hasher=broken)
    assert "restore it from a backup" in ward.says("secrets")


@pytest.mark.parametrize(
    ("free", "status"), [(50_000_000, "problem"), (machine.FLOOR + 13_000, "warning"), (10**12, "ok")]
)
def test_the_disk_is_compared_with_what_a_mailing_writes(ward, monkeypatch, free, status):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2 * 10**12, 0, free))
    assert ward.status("disk") == status
    assert "a mailing to 3 readers" in ward.says("disk")


def test_data_that_others_may_read_is_named(ward):
    assert ward.status("permissions") == "ok"
    ward.folder.chmod(0o755)
    assert "may look into" in ward.says("permissions")
    (ward.folder / "pepper").touch(mode=0o644)
    (ward.folder / "pepper").chmod(0o644)
    assert "may read pepper" in ward.says("permissions")


@pytest.mark.parametrize(
    ("url", "live", "status"),
    [
        ("", False, "warning"),
        ("http://news.example.org", False, "warning"),
        ("https://localhost", True, "problem"),
        (PUBLIC, True, "ok"),
    ],
)
def test_links_must_lead_to_where_readers_can_go(ward, url, live, status):
    ward.set(public_url=url, live=live)
    assert ward.status("public-url") == status


def test_an_allow_list_is_not_forgotten_when_live(ward):
    ward.set(allow_list=("@example.com",))
    assert "everybody else is excluded" in ward.says("allow-list")


def test_a_publication_that_may_not_begin_a_mailing_is_named(ward):
    with ward.world.database.writing() as session:
        session.merge(ward.world.publication).postal_address = ""
    assert "weekly has no postal address" in ward.says("publication")
