"""How much there is to read: the items of an issue, and the minutes they take. Pure; for mastheads and teasers."""

import re
from collections.abc import Iterable

from newsletter.issues.blocks import SECTION, Block, Heading, Table, lines_of, walk_blocks
from newsletter.issues.inline import plain
from newsletter.issues.table_forms import is_cards


#: Rules of thumb for silent reading; nothing but a reader's plans for the next minutes depends on them.
CHARACTERS_A_MINUTE = 400
WORDS_A_MINUTE = 238
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_WORD = re.compile(r"[A-Za-z0-9\u00c0-\u024f]+(?:['’.,-][A-Za-z0-9]+)*")


def minutes_of(blocks: Iterable[Block]) -> int:
    """Estimate the minutes that reading takes, 1 at least."""
    texts = [plain(line) for block in walk_blocks(blocks) for line in lines_of(block)]
    wide = sum(len(_WIDE.findall(text)) for text in texts)
    words = sum(len(_WORD.findall(text)) for text in texts)
    return max(1, round(wide / CHARACTERS_A_MINUTE + words / WORDS_A_MINUTE))


def items_of(blocks: Iterable[Block]) -> int:
    """Count the items: the cards; where there are none, the sections; 0 where there is but one thing."""
    everything = list(walk_blocks(blocks))
    rows = sum(len(block.rows) for block in everything if isinstance(block, Table) and is_cards(block))
    sections = sum(isinstance(block, Heading) and block.level == SECTION for block in everything)
    count = rows or sections
    return count if count > 1 else 0
