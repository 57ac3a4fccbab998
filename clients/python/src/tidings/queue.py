"""What was to be said and is not answered yet, in the order it was said: messages, which count once, and questions, which may be
asked again. Owned by one machine. Refuses to grow beyond its bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Waiting:
    ref: str
    frame: dict[str, Any]
    said_at: float | None = None
    """When it was said first in the present session; `None` while it was not."""


class Queue:
    def __init__(self, entries_max: int) -> None:
        self._entries: dict[str, Waiting] = {}
        self._entries_max = entries_max

    def __contains__(self, ref: object) -> bool:
        return ref in self._entries

    def add(self, ref: str, frame: dict[str, Any]) -> Waiting | None:
        """Nothing if there was no room for it."""
        if len(self._entries) >= self._entries_max:
            return None
        entry = self._entries[ref] = Waiting(ref, frame)
        return entry

    def settle(self, ref: str | None) -> Waiting | None:
        """Forgets what was answered; gives it if it was here."""
        return self._entries.pop(ref or "", None)

    @property
    def is_answered(self) -> bool:
        """Nothing that was said waits for its answer."""
        return all(entry.said_at is None for entry in self._entries.values())

    def all(self) -> list[Waiting]:
        return list(self._entries.values())
