"""Where the client stands in each of its rooms: what is new, what was seen, and what to ask for after a reconnect.

Pure. Refuses what is not behind a position, which is how duplicates end.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class _Place:
    position: int | None
    """The id delivered last; `None` until the server has said where a room that is wanted live begins."""
    gap: tuple[int, int | None] | None = None
    """The gap told last: a server may say one both in `gap` and in `restore`."""


def is_own_room(room: str) -> bool:
    """A user's own room is entered by the server, never by a `join`."""
    return room.startswith("@")


class Positions:
    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def __contains__(self, room: str) -> bool:
        return room in self._places

    def join(self, room: str, after: int | None) -> bool:
        """Joining again changes nothing."""
        if room in self._places:
            return False
        self._places[room] = _Place(after)
        return True

    def leave(self, room: str) -> bool:
        return self._places.pop(room, None) is not None

    def of(self, room: str) -> int | None:
        place = self._places.get(room)
        return place.position if place else None

    def unknown(self) -> list[str]:
        """The rooms that the client joined and of which it does not know yet where they begin."""
        return [room for room, place in self._places.items() if place.position is None and not is_own_room(room)]

    def known(self) -> dict[str, int]:
        """The positions that are known, as `hello` carries them."""
        return {room: place.position for room, place in self._places.items() if place.position is not None}

    def begin(self, room: str, message_id: int) -> None:
        """Where a room begins; counts only while nothing else is known."""
        place = self._places.get(room)
        if place and place.position is None:
            place.position = message_id

    def advance(self, room: str, message_id: int) -> None:
        """Where the client stands although no message may have come."""
        place = self._places.get(room)
        if place:
            place.position = max(place.position or 0, message_id)

    def accept(self, room: str, message_id: int) -> bool:
        """Whether a message is new; moves the position if so."""
        if is_own_room(room):
            # Nobody joins a user's own room: its first message says where it begins.
            self.join(room, None)
            self.begin(room, message_id - 1)
        place = self._places.get(room)
        if not place or place.position is None or message_id <= place.position:
            return False
        place.position = message_id
        return True

    def accept_gap(self, room: str, after: int, before: int | None, reason: str) -> bool:
        """Whether a gap is news. A log that was rolled back takes a position that stands in the gap back with it."""
        place = self._places.get(room)
        if not place:
            return False
        position = place.position
        is_behind = before is not None and position is not None and position >= before
        if reason == "rolled_back" and not is_behind and position is not None:
            place.position = min(position, after, after if before is None else before - 1)
        told, place.gap = place.gap, (after, before)
        return not told or told[0] != after or (told[1] is not None and before is not None and told[1] != before)
