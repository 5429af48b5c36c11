"""Readers leave and change plan while 20,000 are frozen and dispatched. In full size: `make bench`."""

from newsletter.delivery.lifecycle import MailingState
from tests.crowd import SOURCE, Restless, Tally, dispatch_all, lay_readers, picked, utc_now, verdict
from tests.world import make_world


READERS = 20_000


def test_who_leaves_or_changes_plan_meanwhile_is_heeded(store):
    tally = Tally()
    world = make_world(store, tally).having(clock=utc_now, batch_size=250)
    lay_readers(world, READERS)
    readers = Restless(store, picked(2000, READERS))
    mailing_id = world.schedule(world.issue(SOURCE))
    with readers.meanwhile():
        assert world.begin() == [mailing_id]
    during_freeze = len(readers.deeds)
    with readers.meanwhile():
        dispatch_all(world)

    assert 0 < during_freeze < len(readers.deeds)
    assert verdict(world, mailing_id, tally, readers.deeds).is_clean
    account = world.account(mailing_id)
    assert world.mailing(mailing_id).state is MailingState.finished
    assert account.candidates == READERS
    assert account.standing.accepted == len(tally.times)
    left = sum(deed.left for deed in readers.deeds)
    heeded = account.exclusions.get("unsubscribed", 0) + account.standing.skipped
    assert 0 < heeded <= left
    assert len(tally.pro) > 0
