"""The size of a publication does not matter to a chunk of a file: every look-up goes by what the chunk holds."""

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from subscribers.actors import COMMAND_LINE
from subscribers.csv_rows import Row
from subscribers.dialects import There
from subscribers.importing import import_rows
from subscribers.judging import ImportTerms
from subscribers.plan_files import PlanFile, give_plans
from subscribers.seen_lines import SeenLines
from subscribers.suppression_lists import ListTerms, suppress_rows


TABLES = ("subscriber", "subscription", "suppression", "address_hash", "consent_event", "consent_evidence")
ROWS = [Row(line, f"r{line}@example.com", there=There.unsubscribed, ip="203.0.113.7") for line in range(2, 60)]


@pytest.fixture
def reads(session):
    """Every SELECT that SQLite was given, as it plans to answer it."""
    asked: list[tuple[str, Any]] = []

    def listen(_connection, _cursor, statement, parameters, *_):
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", listen)

    def planned() -> list[str]:
        cursor = session.connection().connection.cursor()
        plans = [cursor.execute(f"EXPLAIN QUERY PLAN {one}", parameters).fetchall() for one, parameters in list(asked)]
        return [step[3] for plan in plans for step in plan]

    yield planned
    event.remove(engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("kind", ["import", "suppressions", "plans"])
def test_no_look_up_goes_through_a_whole_table_or_publication(session, hasher, now, reads, kind):
    readers = [Row(row.line, row.email, ip=row.ip) for row in ROWS]
    for run in ("first", "second"):
        if kind == "plans":
            rows = [replace(row, plan="pro") for row in readers]
            file = PlanFile(1, now.date(), "file paid.csv")
            with closing(SeenLines()) as seen:
                give_plans(session, rows, file, seen, by=COMMAND_LINE, now=now)
        elif kind == "import":
            terms = ImportTerms(1, "list.csv", "signed up there", run=run)
            import_rows(session, readers, terms, hasher=hasher, by=COMMAND_LINE, now=now)
        else:
            whole = ListTerms(1, "list.csv", is_export=True)
            suppress_rows(session, ROWS, whole, hasher=hasher, by=COMMAND_LINE, now=now)
    steps = [step for step in reads() if step.split()[1] in TABLES]
    assert len(steps) >= 4
    walks = [step for step in steps if step.startswith("SCAN") or step.endswith("(publication_id=?)")]
    assert walks == []
