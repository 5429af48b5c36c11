"""Columns: which column of a file holds what. Pure; between the header of a CSV file and the rows of ``csv_rows``.

A column is found by the names people give it, or by what the operator says (``mapping``), which goes first.
"""

import unicodedata
from collections.abc import Mapping, Sequence

from subscribers.errors import UnreadableFile


#: What files call our columns, as ``folded`` writes them.
ALIASES = {
    "email": frozenset(
        {
            *("email", "emailaddress", "mail", "mailaddress"),
            *("邮箱", "邮箱地址", "邮件", "邮件地址", "电子邮箱", "电子邮件", "电子邮件地址", "电邮"),
        }
    ),
    "name": frozenset({"name", "fullname", "姓名", "名称"}),
    "given_name": frozenset({"firstname", "givenname", "fname", "名", "名字"}),
    "family_name": frozenset({"lastname", "familyname", "surname", "lname", "姓", "姓氏"}),
    "plan": frozenset({"plan", "方案"}),
    "plan_until": frozenset({"planuntil", "until", "方案截止日"}),
}


def find_columns(
    columns: Sequence[str], mapping: Mapping[str, str], services: Mapping[str, frozenset[str]]
) -> dict[str, int]:
    """Find where each of our columns stands among the file's.

    Args:
        columns: The file's header.
        mapping: The operator's word: the file's column by ours.
        services: What the service that wrote the file calls further columns, as ``folded`` writes them. Where one
            stands twice the last one counts: services put their own after those that people made.

    Raises:
        UnreadableFile: There is no column of addresses, two with one meaning, or none of a name in the mapping.
    """
    positions = {ours: _position(columns, ours, theirs) for ours, theirs in mapping.items()}
    said = set(positions.values())
    for position, column in enumerate(columns):
        for ours, aliases in (*ALIASES.items(), *services.items()):
            if folded(column) not in aliases or ours in mapping or position in said:
                continue
            if ours in positions and ours in ALIASES:
                raise UnreadableFile(
                    f"two columns are called {ours}: {columns[positions[ours]]!r} and {column!r}; rename one of them"
                )
            positions[ours] = position
    if "email" not in positions:
        raise UnreadableFile(_without_addresses(columns))
    return positions


def folded(column: str) -> str:
    """Fold a column's name: case, width, spaces and hyphens aside."""
    plain = unicodedata.normalize("NFKC", column).casefold()
    return "".join(character for character in plain if character not in " \t_-")


def full_name(given: str, family: str) -> str:
    """Join the two halves of a name: as people of its script do."""
    if given and family and all(_is_cjk(character) for character in given + family):
        return family + given
    return f"{given} {family}".strip()


def _is_cjk(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA", "HANGUL"))


def _position(columns: Sequence[str], ours: str, theirs: str) -> int:
    """Find a column that the operator named."""
    if ours not in ALIASES:
        raise UnreadableFile(f"--map {ours}={theirs}: there is no column {ours!r}; there is: {', '.join(ALIASES)}")
    places = [position for position, column in enumerate(columns) if folded(column) == folded(theirs)]
    if len(places) == 1:
        return places[0]
    found = f"{len(places)} columns are" if places else "no column is"
    raise UnreadableFile(f"--map {ours}={theirs}: {found} called {theirs!r}; the file has: {_named(columns)}")


def _without_addresses(columns: Sequence[str]) -> str:
    if any("@" in column for column in columns):
        # The line is somebody's data: it is not repeated.
        return (
            "the file has no header, its first line holds an address: "
            "add a first line that names the columns, such as: email,name,plan"
        )
    return (
        f"no column is called email (the file has: {_named(columns)}): "
        "rename the column of addresses to email, or say --map email=COLUMN"
    )


def _named(columns: Sequence[str]) -> str:
    return "its first line holds an address" if any("@" in column for column in columns) else _quoted(columns)


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(repr(column[:40]) for column in columns)
