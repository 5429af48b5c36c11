"""HTML of tables: figures stay a table, all else becomes cards. Pure (docs/decisions/0009 has the measures)."""

from newsletter.issues.blocks import Table
from newsletter.issues.inline import Inlines, plain
from newsletter.issues.table_forms import is_cards, width_of
from newsletter.rendering.html_inlines import InlineHTML
from newsletter.rendering.tables import alignments, heading_target, shares, without_links


#: Columns that a cell may have to share a phone's line with another; a Chinese character counts two.
SHORT_CELL = 12
#: How many labelled cells of a card stand in a line on a wide screen, by how many there are; else two.
_IN_A_LINE = {0: 1, 1: 1, 3: 3}


def table(table: Table, write: InlineHTML, level: int) -> str:
    """Write a table; ``level`` is that of the headings of its cards."""
    if not is_cards(table):
        return _figures(table, write)
    if not table.rows:
        return f'<p class="label">{" · ".join(write.line(cell) for cell in table.head if cell)}</p>'
    return "".join(_card(table, row, write, level) for row in table.rows)


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


def _card(table: Table, row: tuple[Inlines, ...], write: InlineHTML, level: int) -> str:
    """Write a row as a heading and labelled paragraphs: stacked by nature, side by side where there is room.

    The conditional comments give Outlook, which knows neither inline-blocks nor media queries, a table instead.
    """
    labelled = [(label, cell) for label, cell in zip(table.head[1:], row[1:], strict=True) if cell]
    if not labelled and not row[0]:
        return ""
    in_a_line = _IN_A_LINE.get(len(labelled), 2)
    kind = f"cell in{in_a_line}" if in_a_line > 1 else "cell"
    cells = [
        _labelled(f"{kind} short" if _is_short(label, cell) else kind, label, cell, write) for label, cell in labelled
    ]
    body = _ghost_table(cells, in_a_line) if in_a_line > 1 else "".join(cells)
    return _heading(row[0], write, level) + body


def _is_short(label: Inlines, cell: Inlines) -> bool:
    """Tell whether a labelled cell fits twice in a line of a phone."""
    return max(width_of(plain(label)), width_of(plain(cell))) <= SHORT_CELL


def _heading(cell: Inlines, write: InlineHTML, level: int) -> str:
    if not cell:
        return '<hr class="card">'
    target = heading_target(cell)
    words = write.anchor(target, write.line(without_links(cell))) if target else write.line(cell)
    return f'<h{level} class="card">{words}</h{level}>'


def _labelled(kind: str, label: Inlines, cell: Inlines, write: InlineHTML) -> str:
    name = f'<span class="label">{write.line(label)}</span><br>' if label else ""
    return f'<p class="{kind}">{name}{write.line(cell)}</p>'


def _ghost_table(cells: list[str], in_a_line: int) -> str:
    """Put cells into a table that only Outlook sees."""
    width = 100 // in_a_line
    td = f'td width="{width}%" valign="top"'
    pieces = [f'<!--[if mso]><table class="ghost"><tr><{td}><![endif]-->', cells[0]]
    for number, cell in enumerate(cells[1:], start=1):
        between = "</td>" if number % in_a_line else "</td></tr><tr>"
        pieces += [f"<!--[if mso]>{between}<{td}><![endif]-->", cell]
    rest = "<td></td>" * (-len(cells) % in_a_line)
    return "".join([*pieces, f"<!--[if mso]></td>{rest}</tr></table><![endif]-->"])
