"""HTML of tables: figures stay a table, all else becomes cards. Pure (docs/decisions/0009 has the measures)."""

from newsletter.issues.blocks import Table
from newsletter.issues.inline import Inlines, plain
from newsletter.issues.table_forms import is_cards, width_of
from newsletter.rendering.frames import Frames
from newsletter.rendering.html_inlines import InlineHTML
from newsletter.rendering.tables import alignments, heading_target, needs_label, shares, without_links


#: Columns that a cell may have to share a phone's line with another; a Chinese character counts two.
SHORT_CELL = 12
#: How many labelled cells of a card stand in a line on a wide screen, by how many there are; else two.
_IN_A_LINE = {0: 1, 1: 1, 3: 3}


def table(table: Table, write: InlineHTML, frames: Frames, level: int) -> str:
    """Write a table; ``level`` is that of the headings of its cards."""
    if not is_cards(table):
        return _figures(table, write)
    if not table.rows:
        return f'<p class="label">{" · ".join(write.line(cell) for cell in table.head if cell)}</p>'
    return "".join(_card(table, row, write, frames, level) for row in table.rows)


def _figures(table: Table, write: InlineHTML) -> str:
    columns = tuple(zip(shares(table), alignments(table), strict=True))
    head = "".join(
        f'<th scope="col" width="{share}%"{_align(how)}>{write.line(cell)}</th>'
        for cell, (share, how) in zip(table.head, columns, strict=True)
    )
    rows = "".join(f"<tr>{_figures_row(row, columns, write)}</tr>" for row in table.rows)
    body = f"<tbody>{rows}</tbody>" if rows else ""
    return f'<table class="figures" width="100%"><thead><tr>{head}</tr></thead>{body}</table>'


def _figures_row(row: tuple[Inlines, ...], columns: tuple[tuple[int, str], ...], write: InlineHTML) -> str:
    cells = []
    for number, (cell, (_, how)) in enumerate(zip(row, columns, strict=True)):
        names_row = number == 0 and len(row) > 1 and bool(cell)
        tag, scope = ("th", ' scope="row"') if names_row else ("td", "")
        cells.append(f"<{tag}{scope}{_align(how)}>{write.line(cell)}</{tag}>")
    return "".join(cells)


def _align(how: str) -> str:
    return f' align="{how}"' if how in {"center", "right"} else ""


def _card(table: Table, row: tuple[Inlines, ...], write: InlineHTML, frames: Frames, level: int) -> str:
    """Write a row as a heading and labelled paragraphs: stacked by nature, side by side where there is room."""
    labelled = [(label, cell) for label, cell in zip(table.head[1:], row[1:], strict=True) if cell]
    if not labelled and not row[0]:
        return ""
    in_a_line = _IN_A_LINE.get(len(labelled), 2)
    # The last of an odd number has its line for itself.
    together = len(labelled) - len(labelled) % in_a_line
    cells = [
        _labelled(_kind(label, cell, in_a_line if number < together else 1), label, cell, write)
        for number, (label, cell) in enumerate(labelled)
    ]
    return _heading(table.head[0], row[0], write, level) + frames.cells(cells, in_a_line)


def _kind(label: Inlines, cell: Inlines, in_a_line: int) -> str:
    short = max(width_of(plain(label)), width_of(plain(cell))) <= SHORT_CELL
    return "cell" if in_a_line == 1 else f"cell in{in_a_line}{' short' if short else ''}"


def _heading(label: Inlines, cell: Inlines, write: InlineHTML, level: int) -> str:
    if not cell:
        return '<hr class="card">'
    target = heading_target(cell)
    words = write.anchor(target, write.line(without_links(cell))) if target else write.line(cell)
    named = f'<span class="label">{write.line(label)}</span> ' if label and needs_label(cell) else ""
    return f'<h{level} class="card">{named}{words}</h{level}>'


def _labelled(kind: str, label: Inlines, cell: Inlines, write: InlineHTML) -> str:
    name = f'<span class="label">{write.line(label)}</span><br>' if label else ""
    return f'<p class="{kind}">{name}{write.line(cell)}</p>'
