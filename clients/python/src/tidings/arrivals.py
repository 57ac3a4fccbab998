"""What comes of the rooms' logs: messages, each once and in order, and gaps, each told once.

It owns the positions. Pure: frames go in, and what the application is to be told comes out. Refuses to know of connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .positions import Positions

Frame = dict[str, Any]
Tell = Callable[[dict[str, Any]], None]


class Arrivals:
    def __init__(self, rooms: dict[str, int | None], tell: Tell) -> None:
        self.positions = Positions()
        self._tell = tell
        # A `restore` that lacked something, `(room, after, before)`: the next frame says why, or nobody does.
        self._unexplained: tuple[str, int, int | None] | None = None
        for room, after in rooms.items():
            self.positions.join(room, after)

    def joined(self, room: str, frame: Frame) -> None:
        self.positions.begin(room, frame.get("last_message_id") or 0)
        if room in self.positions:
            self._tell({"type": "joined", "room": room})

    def message(self, room: str, message: Frame, recovered: bool) -> bool:
        """Whether it is new."""
        if not self.positions.accept(room, message["id"]):
            return False
        self._tell({"type": "message", "room": room, "message": message, "recovered": recovered})
        return True

    def restore(self, room: str, frame: Frame) -> None:
        messages, recovered = frame.get("messages") or [], frame.get("recovered", True)
        after = self.positions.of(room)
        first = messages[0]["id"] if messages else None
        # Position 0 asks for all there is, and has lost nothing.
        if not recovered and after is not None and after > 0:
            self._unexplained = (room, after, first)
        if after is None and first is not None:
            self.positions.begin(room, first - 1)
        fresh = [message for message in messages if self.message(room, message, True)]
        self.positions.advance(room, frame.get("last_message_id") or 0)
        if room in self.positions:
            self._tell({"type": "restored", "room": room, "messages": len(fresh), "recovered": recovered})

    def gap(self, room: str, after: int, before: int | None, reason: str) -> None:
        if self.positions.accept_gap(room, after, before, reason):
            self._tell({"type": "gap", "room": room, "after": after, "before": before, "reason": reason})

    def explain(self, frame: Frame | None) -> None:
        """Before each frame, and when none comes any more: what was missing and is not said by it is told now."""
        unexplained, self._unexplained = self._unexplained, None
        if unexplained and not (frame and frame.get("type") == "gap" and frame.get("room") == unexplained[0]):
            self.gap(*unexplained, "expired")
