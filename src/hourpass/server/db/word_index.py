"""Rows found by the beginnings of words: from a table with a row for each word of each of them."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, func, select

# When at most so many rows fit, they are found by an index and sorted; when more do, a list walks
# all rows from the newest on and looks at each, and soon has a page of those that fit.
_FEW = 2000


def has_word(
    connection: Connection, key: ColumnElement[Any], words: Table, beginning: str
) -> ColumnElement[bool]:
    """Whether a word of the row with that key begins so; the first column of `words` is the key.

    A prefix is a range, since words sort by their code points.
    """
    owner, word = words.columns[0], words.c.word
    fits = (word >= beginning) & (word < beginning + chr(0x10FFFF))
    found = select(owner).where(fits)
    if are_few(connection, found):
        return key.in_(found)
    return select(owner).where(owner == key, fits).exists()


def are_few(connection: Connection, found: Select[Any]) -> bool:
    """Whether it is better to find them first than to look at each row of a list."""
    counted = select(func.count()).select_from(found.limit(_FEW + 1).subquery())
    return int(connection.execute(counted).scalar_one()) <= _FEW
