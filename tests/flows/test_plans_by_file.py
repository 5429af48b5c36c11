"""A file of plans while a reader changes their own: on both databases, and from a session that may only read."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise

from newsletter.providers.memory import MemoryProvider
from subscribers.actors import COMMAND_LINE, READER
from subscribers.consent import consent_of
from subscribers.csv_rows import Row
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.plan_files import PlanFile, PlanOutcome, give_plans, rehearse_plans
from subscribers.roster import list_subscriptions
from subscribers.seen_lines import SeenLines
from tests.world import addresses, make_world


def test_what_is_foretold_without_writing_happens(store):
    world = make_world(store, MemoryProvider())
    readers = addresses(30)
    world.readers(readers)
    rows = [Row(line, address, plan="pro") for line, address in enumerate(readers, start=2)]
    file = PlanFile(world.publication.id, world.clock().date(), "file paid.csv")
    with closing(SeenLines()) as seen, store.reading() as session:
        foretold = rehearse_plans(session, rows, file, seen)
    with closing(SeenLines()) as seen, store.writing() as session:
        assert give_plans(session, rows, file, seen, by=COMMAND_LINE, now=world.clock()) == foretold
    assert {account.outcome for account in foretold} == {PlanOutcome.changed}


def test_changes_at_the_same_moment_come_one_after_the_other(store):
    world = make_world(store, MemoryProvider())
    readers = addresses(20)
    world.readers(readers)
    file = PlanFile(world.publication.id, world.clock().date(), "file paid.csv")
    with store.reading() as session:
        views = list_subscriptions(session, world.publication.id)

    def bring(plan: str) -> None:
        rows = [Row(line, address, plan=plan) for line, address in enumerate(readers, start=2)]
        with closing(SeenLines()) as seen, store.writing() as session:
            give_plans(session, rows, file, seen, by=COMMAND_LINE, now=world.clock())

    def switch(plan: str) -> None:
        for view in views:
            with store.writing() as session:
                change_plan(session, view.id, PlanChange(plan, source="preferences"), by=READER, now=world.clock())

    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda work: work[0](work[1]), [(bring, "pro"), (switch, "free"), (bring, "free"), (switch, "pro")]
            )
        )
    with store.reading() as session:
        for view in list_subscriptions(session, world.publication.id):
            steps = [one.detail for one in consent_of(session, view.id) if one.kind == "plan_changed"]
            # Each step of the ledger begins where the one before it ended, and the last is what the reader has.
            for before, after in pairwise(steps):
                assert before["to"] == after["from"]
            assert view.plan == (steps[-1]["to"] if steps else "free")
