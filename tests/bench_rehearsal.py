"""Benchmark of a rehearsal at full size: 200,000 readers of five mailbox providers, every mail recorded.

What must hold is asserted afterwards: all is as a mailing must go, and no real address stands in anything that the
local SendGrid recorded, neither as a recipient nor anywhere in its mails, nor in any file that the rehearsal has left.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from newsletter.emulator.record import Record
from newsletter.rehearsal.people import is_invented
from tests.crowd import DOMAINS, SOURCE, lay_readers
from tests.flows.serving import stored_world


READERS = 200_000
#: An address of `lay_readers`, wherever it stands; the publication's own are not among them.
REAL = re.compile(rf"r\d+@(?:{'|'.join(map(re.escape, DOMAINS))})")
#: As much of a file as is searched at once, and how much of it again with the next: longer than any address.
BLOCK, OVERLAP = 1 << 24, 64


def rehearsing() -> Iterator[tuple[str, float, str, float, str, float]]:
    """Give name, amount, unit and seconds, and the reference's name and seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = stored_world(folder)
        lay_readers(world, READERS)
        issue_id = world.issue(SOURCE)
        world.database.close()
        begun = time.perf_counter()
        told = rehearse(folder, issue_id)
        took = time.perf_counter() - begun
        assert (told["recipients"], told["accepted"], told["went_wrong"]) == (READERS, READERS, []), told
        require_nobody_real(folder / "kept")
        # The search finds what is there.
        assert holds_anybody_real(folder / "newsletter.db")
        seconds = told["seconds"]
        dispatching = seconds["dispatching"]
        yield "rehearse, from the command to its end", READERS, "readers/s", took, "its dispatching", dispatching
        for part in ("copying", "freezing", "dispatching"):
            yield f"rehearse, {part}", READERS, "readers/s", seconds[part], "the whole command", took


def rehearse(folder: Path, issue_id: int) -> dict[str, Any]:
    """Run the command in a process of its own, and give what it told."""
    command = [sys.executable, "-m", "newsletter", "mailing", "rehearse", str(issue_id), "--yes", "--json", "--record"]
    environment = os.environ | {"NEWSLETTER_DATA_DIR": str(folder)}
    kept = ["--keep", str(folder / "kept")]
    answer = subprocess.run([*command, *kept], env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def require_nobody_real(kept: Path) -> None:
    """Search every recipient and mail on record, and every byte that was written, for an address of the real store."""
    record = Record(kept / "emulator")
    reached = set()
    for one in record.everything():
        reached.add(one.to)
        assert is_invented(one.to), one.to
        assert not REAL.search(json.dumps(vars(one), ensure_ascii=False)), one.id
    record.close()
    assert len(reached) == READERS
    for file in kept.rglob("*"):
        assert not file.is_file() or not holds_anybody_real(file), file


def holds_anybody_real(file: Path) -> bool:
    """Tell whether the bytes of a file hold an address of the real store."""
    before = b""
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            if REAL.search((before + block).decode("latin-1")):
                return True
            before = block[-OVERLAP:]
    return False
