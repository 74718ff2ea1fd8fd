"""A memory of a fixed size, for what is read or verified again and again. For one thread."""

from typing import Generic, TypeVar

MAX_REMEMBERED = 20_000
Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """At most `limit` values by their keys; the one remembered longest makes room."""

    __slots__ = ("_limit", "_values", "get")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[Key, Value] = {}
        self.get = self._values.get
        """What was last put for a key, or None."""

    def put(self, key: Key, value: Value) -> None:
        """Remember a value."""
        values = self._values
        values[key] = value
        if len(values) > self._limit:
            del values[next(iter(values))]

    def forget(self, key: Key) -> None:
        """Read it again next time."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Read every one again."""
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)
