"""What happened between a backup and its restore is lost, and promises about people hold all the same."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlmodel import select

from newsletter.backups.replaying import Story
from newsletter.backups.taking import calls_under_way
from newsletter.composition import Service
from newsletter.delivery.correction_mail import CorrectionOrder, mail_correction
from newsletter.delivery.corrections import correct
from newsletter.delivery.evidence import evidence_in
from newsletter.delivery.hearing import hear
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Attempt
from newsletter.delivery.policies import set_policy
from newsletter.delivery.settlement import Settled, prove, settle_due
from newsletter.errors import Refused
from newsletter.hosts import lost_times
from newsletter.outbox import NoticeKind, NoticeOrder, NoticeState, enqueue, list_notices
from newsletter.providers.base import Message
from newsletter.providers.memory import MemoryProvider
from newsletter.room import Room
from newsletter.settings import Settings
from newsletter.signing import ForgedToken, LinkSigner, Purpose
from subscribers.actors import COMMAND_LINE, READER
from subscribers.addresses import parse_address
from subscribers.consent import Evidence
from subscribers.erasure import erase
from subscribers.new_address import ask_for_address, confirm_address
from subscribers.opt_in import Answer, Click
from subscribers.roster import SubscriptionView, find_everywhere
from tests.vault import Vault
from tests.world import ISSUE, SIGNER, addresses


NEW = "new@example.org"


def reached_more_than_once(vault: Vault) -> dict[str, int]:
    return {address: times for address, times in Counter(vault.world.reached()).items() if times > 1}


def mailed(vault: Vault) -> int:
    """Have an issue mailed to everybody; give it."""
    issue = vault.world.issue()
    vault.world.schedule(issue)
    vault.world.begin()
    vault.dispatch()
    assert isinstance(vault.world.provider, MemoryProvider)
    vault.world.provider.accepted.clear()
    vault.world.clock.forward(7200)
    return issue


def test_a_mailing_again_that_a_backup_cut_in_two_reaches_nobody_twice(vault):
    vault.world = vault.world.having(batch_size=5)
    again = vault.world.schedule(mailed(vault), again=True)
    vault.world.begin()
    vault.dispatch(1)
    file, _ = vault.take()
    vault.dispatch()
    vault.restore(file)
    vault.release()
    vault.dispatch()
    assert vault.world.reached() == addresses(20)
    assert vault.world.account(again).standing.skipped == 15


def test_a_mailing_again_that_was_mailed_after_the_backup_reaches_nobody_twice(sqlite_vault):
    vault = sqlite_vault
    issue = mailed(vault)
    vault.world.schedule(issue, again=True)
    file, _ = vault.take()
    vault.world.begin()
    vault.dispatch()
    vault.restore(file)
    vault.release()
    vault.world.begin()
    vault.dispatch()
    assert vault.world.reached() == addresses(20)
    # Once more on purpose is another mailing.
    vault.world.clock.forward(60)
    vault.world.schedule(issue, again=True)
    vault.world.begin()
    vault.dispatch()
    assert reached_more_than_once(vault) == dict.fromkeys(addresses(20), 2)


def mail_correction_of(vault: Vault, issue: int, number: int) -> int:
    """Mend an issue and mail the correction; give the mailing."""
    world = vault.world
    world.issue(ISSUE.replace("平稳", f"平稳 {number}"), revises=issue)
    with world.database.writing() as session:
        made = correct(session, issue, f"mended {number}", world.workshop, live=False, by=COMMAND_LINE, now=vault.now)
        order = CorrectionOrder(made, undo_minutes=0)
        return mail_correction(session, order, by=COMMAND_LINE, now=vault.now).id


def test_a_correction_is_told_from_its_issue_and_from_every_other(sqlite_vault):
    vault = sqlite_vault
    issue = mailed(vault)
    file, _ = vault.take()
    mail_correction_of(vault, issue, 1)
    vault.world.begin()
    vault.dispatch()
    assert vault.world.reached() == addresses(20)
    vault.restore(file)
    vault.release()
    same = mail_correction_of(vault, issue, 1)
    vault.world.begin()
    assert vault.world.account(same).exclusions == {"already_reached": 20}
    vault.world.clock.forward(60)
    mail_correction_of(vault, issue, 2)
    vault.world.begin()
    vault.dispatch()
    assert reached_more_than_once(vault) == dict.fromkeys(addresses(20), 2)


@pytest.mark.parametrize("policy", ["resend", "give_up"])
@pytest.mark.parametrize("gap", [10, 7200])
def test_a_request_whose_proof_was_lost_is_asked_about_whatever_the_policy(sqlite_vault, policy, gap):
    vault, world = sqlite_vault, sqlite_vault.world
    with world.database.writing() as session:
        set_policy(session, world.publication.id, {"unknown": policy}, by=COMMAND_LINE, now=vault.now)
    mailing_id = world.running()
    world.provider.loses_next()
    vault.dispatch()
    world.clock.forward(gap)
    file, _ = vault.take()
    with world.database.writing() as session:
        assert prove(session, session.exec(select(Attempt.id)).all(), now=vault.now) == 1
    assert world.mailing(mailing_id).state is MailingState.finished
    assert vault.restore(file).prepared.unsettled == 1
    vault.release()
    for _ in range(9):
        world.clock.forward(3600)
        with world.database.writing() as session:
            hear(session, 5, at=vault.now)
    with world.database.writing() as session:
        assert settle_due(session, live=False, now=vault.now) == Settled(asked=1)
        assert "proofs before the restore are lost" in evidence_in(session, mailing_id)[0].in_words()
    vault.dispatch()
    assert reached_more_than_once(vault) == {}


def test_links_of_a_lost_time_name_nobody(vault):
    world = vault.world
    before = SIGNER.sign(Purpose.reading_session, 20, at=vault.now)
    world.clock.forward(3600)
    file, manifest = vault.take()
    world.readers(["alice@example.org"])
    (alice,) = find(vault, "alice@example.org")
    hers = {purpose: SIGNER.sign(purpose, alice.id, at=vault.now) for purpose in Purpose}
    vault.restore(file)
    world.clock.forward(1)
    world.readers(["bob@example.org"])
    assert find(vault, "bob@example.org")[0].id == alice.id
    with world.database.reading() as session:
        lost = lost_times(session)
    assert [began for began, _ in lost] == [manifest.taken_at]
    signer = LinkSigner(SIGNER.keys, lambda: lost)
    for purpose, token in hers.items():
        with pytest.raises(ForgedToken):
            signer.ids(purpose, token, now=vault.now)
    assert signer.ids(Purpose.reading_session, before, now=vault.now) == (20,)
    after = signer.sign(Purpose.reading_session, alice.id, at=vault.now)
    assert signer.ids(Purpose.reading_session, after, now=vault.now) == (alice.id,)


def test_a_service_asks_its_store_for_lost_times(sqlite_vault):
    vault = sqlite_vault
    file, _ = vault.take()
    url = f"sqlite:///{vault.world.database.file}"
    made = Service(Settings(_env_file=None, data_dir=vault.folder, database_url=url), vault.world.clock).signer
    token = made.sign(Purpose.read, 1, 1, at=vault.now)
    vault.restore(file)
    service = Service(Settings(_env_file=None, data_dir=vault.folder, database_url=url), vault.world.clock)
    with pytest.raises(ForgedToken):
        service.signer.ids(Purpose.read, token, now=vault.now)
    service.database.close()


def find(vault: Vault, email: str) -> Sequence[SubscriptionView]:
    with vault.world.database.reading() as session:
        return find_everywhere(session, email)


def move(vault: Vault, email: str, new: str) -> None:
    """Give a reader a new address, as its owner confirms it."""
    hasher = vault.world.hasher
    with vault.world.database.writing() as session:
        view, proof = find_everywhere(session, email)[0], Evidence(new)
        asked = ask_for_address(session, view, parse_address(new), proof, hasher=hasher, by=READER, now=vault.now)
        click = Click(asked.opt_in_id or 0, proof)
        done = confirm_address(session, click, hasher=hasher, by=READER, now=vault.now)
    assert done.answer is Answer.confirmed


def test_who_was_erased_or_left_under_a_new_address_is_found_by_the_old_one(vault):
    erased, left, only_moved = addresses(3)
    file, _ = vault.take()
    for number, reader in enumerate((erased, left, only_moved)):
        move(vault, reader, f"{number}-{NEW}")
    with vault.world.database.writing() as session:
        erase(session, f"0-{NEW}", hasher=vault.world.hasher, by=COMMAND_LINE, now=vault.now)
    vault.leave(f"1-{NEW}")
    done = vault.restore(file).replayed
    assert (done.erased, done.left) == (1, 1)
    assert [vault.state(one) for one in (erased, left, only_moved)] == [None, "left", "confirmed"]
    assert vault.against(f"0-{NEW}") == ("erased",)
    # An old list must not bring them in under the new address either.
    assert vault.against(f"1-{NEW}") == ("unsubscribed",)
    assert vault.against(only_moved) == ("moved",)


def line(what: str, of: str, **more: str) -> dict[str, object]:
    return {"what": what, "publication": 1, "hash": of, "reason": "page", "at": "2026-11-24T01:00:00Z"} | more


def people_out(*lines: dict[str, object]) -> list[str]:
    story = Story()
    for one in lines:
        story.tell(one)
    return [one["person"] for one in story.left.values() if one]


def test_a_person_is_followed_from_address_to_address():
    there, on, back = (
        line("moved", "a", hash_after="b", at="2026-11-24T01:00:00Z"),
        line("moved", "b", hash_after="c", at="2026-11-24T02:00:00Z"),
        line("moved", "b", hash_after="a", at="2026-11-24T03:00:00Z"),
    )
    assert people_out(there, on, line("left", "c")) == ["a"]
    assert people_out(there, back, line("left", "a")) == ["a"]
    assert people_out(there, line("left", "b"), line("returned", "b")) == []
    # A line may stand twice.
    assert people_out(there, there, on, there, on, line("left", "c")) == ["a"]
    # Whoever has an address that was given up is somebody else.
    assert "a" not in people_out(there, line("left", "a"))
    story = Story()
    story.tell(there)
    assert story.with_those_before(["b", "z"]) == ["a", "b", "z"]
    assert story.with_those_before(["a"]) == ["a"]


def test_notices_that_waited_are_dropped_and_counted(sqlite_vault):
    vault, world = sqlite_vault, sqlite_vault.world
    (reader,) = find(vault, addresses(1)[0])
    order = NoticeOrder(NoticeKind.goodbye, world.publication.id, reader.id, live=False)
    with world.database.writing() as session:
        enqueue(session, order, now=vault.now)
    file, _ = vault.take()
    assert vault.restore(file).prepared.dropped == 1
    with world.database.reading() as session:
        (notice,) = list_notices(session, limit=9)
    assert (notice.state, notice.ended_at) == (NoticeState.dropped, vault.now)
    assert "may have been mailed since" in notice.reason


def test_a_backup_that_would_fill_the_disk_is_refused(vault):
    free = SimpleNamespace(total=0, free=0)
    vault.room = Room((), percent=0, megabytes=1, usage=lambda _: free)
    with pytest.raises(Refused, match="make room, or write it elsewhere with --to"):
        vault.take()
    assert list(vault.folder.glob("*.backup")) == []
    free.free = 500_000_000
    vault.take()


def dies(_: Message) -> None:
    raise SystemExit


def test_what_a_dead_worker_left_is_not_waited_for_at_a_handover(sqlite_vault):
    vault, world = sqlite_vault, sqlite_vault.world
    mailing_id = world.running()
    world.provider.answering = dies
    with pytest.raises(SystemExit):
        vault.dispatch()
    with world.database.writing() as session:
        assert calls_under_way(session, now=vault.now) == 1
    world.clock.forward(61)
    with world.database.writing() as session:
        assert calls_under_way(session, now=vault.now) == 0
    assert world.account(mailing_id).standing.unknown == 20


def test_segments_that_end_before_the_mark_are_not_read(tmp_path, sqlite_vault):
    journal = sqlite_vault.journal
    small = type(journal)(tmp_path / "small", journal.hasher, segment_bytes=1)
    for number in range(3):
        small.append([{"what": "test", "number": number}])
    small.append([{"what": "backup", "id": "feed", "at": datetime.now(UTC)}])
    small.append([{"what": "test", "number": 3}])
    first = small.segments[0]
    first.unlink()
    # Whoever opened it would fail.
    first.mkdir()
    behind = small.read_behind("feed")
    assert behind is not None
    assert [one.facts["number"] for one in behind if one.facts] == [3]
