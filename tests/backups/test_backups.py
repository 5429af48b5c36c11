"""Backups on both databases: what is copied, what is refused, and what the journal adds when one is restored."""

import shutil
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.backups.restoring import look_into
from newsletter.backups.taking import let_go_of_old, name_at
from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.lifecycle import MailingState
from newsletter.errors import Misconfigured, Refused
from newsletter.hosts import HoldKind, arrive, open_holds, release_store, store_may_mail
from newsletter.providers.memory import MemoryProvider
from subscribers.actors import COMMAND_LINE, READER
from subscribers.erasure import erase
from subscribers.hashing import AddressHasher
from subscribers.leaving import LeavingChannel, leave, undo
from subscribers.models import Suppression, SuppressionReason
from subscribers.roster import find_everywhere
from subscribers.suppression import SuppressionOrder, add, lift
from tests.people import complain
from tests.vault import LINK_KEYS, Vault
from tests.world import HandClock, addresses, make_world


def test_a_backup_is_private_complete_and_names_its_keys_without_holding_them(vault):
    vault.world.running()
    vault.world.dispatch()
    file, manifest = vault.take()
    assert file.stat().st_mode & 0o777 == 0o600
    assert manifest.counts["subscriber"] == manifest.counts["delivery"] == 20
    assert manifest.peppers == (vault.world.hasher.key_id,)
    assert manifest.link_keys == LINK_KEYS
    assert vault.world.hasher.peppers[0] not in b"".join(one.read_bytes() for one in _unpacked(file, vault.folder))
    assert [one.name for one in vault.folder.iterdir() if one.name.startswith(".backup")] == []
    assert look_into(file, vault.world.database, vault.keys, vault.folder) == manifest


def _unpacked(file: Path, folder: Path) -> list[Path]:
    with tarfile.open(file) as archive:
        archive.extractall(folder / "seen", filter="data")
    return list((folder / "seen").iterdir())


def test_a_restored_store_is_the_one_of_before_and_is_held(vault):
    world = vault.world
    file, _ = vault.take()
    due = world.schedule(world.issue())
    restored = vault.restore(file)
    assert restored.kept_aside
    assert restored.replayed.has_mark
    with world.database.reading() as session:
        assert [one.kind for one in open_holds(session)] == [HoldKind.restored]
        assert not store_may_mail(session)
    with pytest.raises(Exception, match=f"no mailing {due}"):
        world.mailing(due)
    # Numbers go on where they were.
    world.readers(["later@example.com"])
    assert vault.state("later@example.com") == "confirmed"


def test_what_keeps_mail_back_is_replayed(vault):
    world = vault.world
    a, b, c, d, e = addresses(5)
    file, _ = vault.take()
    vault.leave(a)
    with world.database.writing() as session:
        complain(session, find_everywhere(session, b)[0].id, hasher=world.hasher, by=READER, now=vault.now)
        erase(session, c, hasher=world.hasher, by=COMMAND_LINE, now=vault.now)
        bounced = SuppressionOrder(d, SuppressionReason.hard_bounce)
        add(session, bounced, hasher=world.hasher, by=COMMAND_LINE, now=vault.now)
        add(session, SuppressionOrder(e, SuppressionReason.operator), hasher=world.hasher, by=READER, now=vault.now)
        lift(session, SuppressionOrder(e, SuppressionReason.operator), hasher=world.hasher, by=READER, now=vault.now)
    done = vault.restore(file).replayed
    assert (done.left, done.suppressed, done.erased, done.unreadable) == (2, 2, 1, ())
    assert [vault.state(one) for one in (a, b, c, d, e)] == ["left", "left", None, "confirmed", "confirmed"]
    assert [vault.against(one) for one in (b, c, d, e)] == [("complaint",), ("erased",), ("hard_bounce",), ()]


def test_who_left_and_came_back_is_not_put_out(vault):
    (reader,) = addresses(1)
    file, _ = vault.take()
    vault.leave(reader)
    with vault.world.database.writing() as session:
        view = find_everywhere(session, reader)[0]
        assert undo(session, view.unsubscribe_id, hasher=vault.world.hasher, by=READER, now=vault.now)
    assert vault.restore(file).replayed.left == 0
    assert vault.state(reader) == "confirmed"


def test_who_came_and_left_after_the_backup_is_not_brought_in_by_an_old_list(vault):
    file, _ = vault.take()
    vault.world.readers(["brief@example.com"])
    vault.leave("brief@example.com")
    vault.restore(file)
    vault.world.readers(["brief@example.com"])
    assert vault.state("brief@example.com") is None
    assert vault.against("brief@example.com") == ("unsubscribed",)


def test_what_was_rolled_back_is_not_in_the_journal(vault):
    (reader,) = addresses(1)
    before = len(list(vault.journal.read()))
    with pytest.raises(ZeroDivisionError):
        _leave_and_fail(vault, reader)
    assert len(list(vault.journal.read())) == before
    assert vault.state(reader) == "confirmed"


def _leave_and_fail(vault: Vault, reader: str) -> None:
    with vault.world.database.writing() as session:
        view = find_everywhere(session, reader)[0]
        leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=vault.now)
        _ = 1 / 0


def test_what_a_crash_left_is_journalled_with_the_next_transaction(vault):
    """The process died between the commit and the line."""
    store = vault.world.database
    write, store.after_commit = store.after_commit, None
    one, other = addresses(2)
    vault.leave(one)
    store.after_commit = write
    vault.leave(other)
    assert [line.facts["what"] for line in vault.journal.read() if line.facts] == ["left", "left"]


def test_readers_leave_also_while_the_journal_cannot_be_written(vault):
    (vault.folder / "journal").write_text("in the way")
    (reader,) = addresses(1)
    vault.leave(reader)
    assert vault.state(reader) == "left"
    (vault.folder / "journal").unlink()
    vault.leave(addresses(2)[1])
    assert len(list(vault.journal.read())) == 2


def test_no_call_is_made_that_the_journal_cannot_take(vault):
    world = vault.world
    mailing_id = world.running()
    (vault.folder / "journal").write_text("in the way")
    desk = replace(world.desk, journal=vault.journal)
    assert dispatch_next(desk)
    assert world.reached() == []
    assert world.account(mailing_id).standing.pending == 20
    (vault.folder / "journal").unlink()
    world.clock.forward(10)
    dispatch_next(desk)
    assert world.reached() == addresses(20)


def test_an_altered_a_cut_and_a_foreign_file_are_refused(vault):
    file, _ = vault.take()
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], b"no archive at all", whole[:-200] + bytes(200)):
        file.write_bytes(broken)
        with pytest.raises(Refused):
            look_into(file, vault.world.database, vault.keys, vault.folder)


def test_a_backup_whose_keys_are_missing_is_refused_and_the_ids_are_named(vault):
    file, manifest = vault.take()
    with pytest.raises(Refused, match=manifest.peppers[0]):
        look_into(file, vault.world.database, replace(vault.keys, hasher=AddressHasher(b"x" * 20)), vault.folder)
    with pytest.raises(Refused, match="22222222"):
        look_into(file, vault.world.database, replace(vault.keys, link_keys=("11111111",)), vault.folder)


def test_a_backup_of_a_newer_version_is_refused(vault):
    with vault.world.database.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    file, _ = vault.take()
    with pytest.raises(Misconfigured, match="newer version"):
        look_into(file, vault.world.database, vault.keys, vault.folder)


def test_a_journal_that_does_not_know_the_backup_is_told(vault):
    file, _ = vault.take()
    shutil.rmtree(vault.folder / "journal")
    assert not vault.restore(file).replayed.has_mark


def test_a_torn_line_is_told_and_the_others_count(vault):
    file, _ = vault.take()
    vault.leave(addresses(1)[0])
    with vault.journal.segments[-1].open("ab") as opened:
        opened.write(b"0123 {torn")
    vault.leave(addresses(2)[1])
    done = vault.restore(file).replayed
    assert done.left == 2
    assert done.unreadable == ("000001.journal:3",)


def test_nobody_gets_an_issue_twice_after_a_restore(vault):
    world = vault.world
    issue = world.issue()
    file, _ = vault.take()
    world.schedule(issue)
    world.begin()
    while dispatch_next(replace(world.desk, journal=vault.journal)):
        pass
    done = vault.restore(file).replayed
    assert (done.calls, done.reached) == (1, 20)
    with world.database.writing() as session:
        release_store(session, "here", by=COMMAND_LINE, now=vault.now)
    mailing_id = world.schedule(issue)
    world.begin()
    assert world.account(mailing_id).exclusions == {"already_reached": 20}
    assert world.mailing(mailing_id).state is MailingState.finished
    again = world.schedule(issue, again=True)
    world.begin()
    assert world.account(again).standing.recipients == 20


def test_only_so_many_backups_are_kept(tmp_path):
    moments = [HandClock().now + timedelta(days=day) for day in range(4)]
    for moment in moments:
        (tmp_path / name_at(moment)).touch()
    gone = let_go_of_old(tmp_path, 2)
    assert [one.name for one in gone] == [name_at(moment) for moment in moments[:2]]


def test_suppressions_of_any_origin_reach_the_journal(vault):
    """Also those that no code of ours wrote: the database itself does it."""
    with vault.world.database.writing() as session:
        row = {"address_hash": "0" * 64, "hash_key_id": vault.world.hasher.key_id, "origin": "by hand"}
        session.add(Suppression(**row, reason=SuppressionReason.imported, created_at=vault.now, created_by="x"))
    (line,) = [one.facts for one in vault.journal.read() if one.facts]
    assert (line["what"], line["reason"], line["hash"], line["publication"]) == (
        "suppressed",
        "imported",
        "0" * 64,
        None,
    )


def test_the_journal_holds_no_address(vault):
    vault.leave(addresses(1)[0])
    assert b"@" not in b"".join(one.read_bytes() for one in vault.journal.segments)
    assert {one.stat().st_mode & 0o777 for one in vault.journal.segments} == {0o600}


def test_segments_follow_each_other(vault):
    journal = replace(vault.journal, segment_bytes=200)
    for number in range(5):
        journal.append([{"what": "test", "number": number}])
    assert [one.facts["number"] for one in journal.read() if one.facts] == list(range(5))
    assert len(journal.segments) > 1


def test_another_machine_holds_the_store_until_it_is_released(sqlite_store):
    world = make_world(sqlite_store, MemoryProvider())

    def wakes(machine: str) -> bool:
        with world.database.writing() as session:
            arrive(session, machine, live=False, now=world.clock())
            return store_may_mail(session)

    assert wakes("first")
    assert wakes("first")
    assert not wakes("second")
    # Going back does not help: both may have been used meanwhile.
    assert not wakes("first")
    with world.database.writing() as session:
        release_store(session, "first", by=COMMAND_LINE, now=world.clock())
    assert wakes("first")
