"""What the application says, and what becomes of it: the queue, joins and leaves, typing, and the quiet before a restart.

It owns the queue. Pure: what is said and told goes out through functions, the time comes in. Refuses to know how a connection comes and
goes; it is told when one is live.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .options import Options
from .positions import Positions, is_own_room
from .queue import Queue, Waiting
from .verdict import PASSING_ERRORS

Frame = dict[str, Any]

NEVER = math.inf
QUIET_REF = "quiet"


class Speech:
    def __init__(self, options: Options, say: Callable[[Frame], None], tell: Callable[[dict[str, Any]], None]) -> None:
        self.resend_at = NEVER
        self._options = options
        self._say = say
        self._tell = tell
        self._queue = Queue(options.queue_max)
        self._is_live = self._is_restarting = self._is_ready_for_restart = False
        self._joins: dict[str, str] = {}
        self._leaving: set[str] = set()  # The rooms of which it is not answered yet that they were left.
        self._references = 0
        self._typing_at: dict[str, float] = {}

    # --- coming and going

    def begin(self, now: float, resumed: bool, wanted: Positions, late: dict[str, int], rooms: list[str]) -> None:
        """A session is there, and is in these `rooms`. It is to be in those `wanted`; those that are `late` it was not told of."""
        self._is_live, self._is_restarting, self._is_ready_for_restart = True, False, False
        self._joins.clear()
        self._leaving.clear()
        for room in wanted.unknown():
            self._say_join(room, None)
        for room, after in late.items():
            # The session may be in it, from where it stood: only who comes in names a position.
            if room in rooms:
                self._say_leave(room, QUIET_REF)
            self._say_join(room, after)
        # A hello that names no room is one to the lobby, and a session is in rooms that were left while it was away.
        for room in rooms:
            if room not in wanted and not is_own_room(room):
                self._say_leave(room, QUIET_REF)
        self._forget_unsure(now, resumed)
        self.say_all(now)

    def end(self) -> None:
        """The connection is gone."""
        self._is_live = False
        self.resend_at = NEVER

    def close(self) -> None:
        for entry in self._queue.all():
            self._refuse(entry.ref, "closed", "The client was closed before this was answered.")

    def restart(self) -> None:
        """The server restarts: it answers what it has; what is new waits for the next one."""
        self._is_restarting = True
        self._acknowledge_restart()

    # --- what the application says

    def join(self, room: str, after: int | None) -> None:
        if self._is_live:
            self._say_join(room, after)

    def leave(self, room: str) -> None:
        if self._is_live and not is_own_room(room):
            self._say_leave(room)

    def send(self, now: float, ref: str, frame: Frame, is_closed: bool) -> None:
        entry = None if is_closed else self._queue.add(ref, {**frame, "ref": ref})
        if not entry:
            code = "closed" if is_closed else "queue_full"
            # Not `_refuse`: another entry of this `ref` would be forgotten.
            return self._tell_refused(ref, code, "It was not taken: too much waits already, or the client is closed.")
        if frame["type"] == "message":
            self._typing_at.pop(frame.get("room") or "", None)
        if self._is_live and not self._is_restarting:
            self._say_entry(now, entry)

    def mention(self, frame: Frame) -> None:
        if self._is_live:
            self._say(frame)

    def typing(self, now: float, room: str) -> None:
        if not self._is_live or now - self._typing_at.get(room, -NEVER) < self._options.typing_ms:
            return
        self._typing_at[room] = now
        self._say({"type": "typing_start", "room": room})

    def typing_stop(self, room: str) -> None:
        if self._typing_at.pop(room, None) is not None:
            self.mention({"type": "typing_stop", "room": room})

    def say_all(self, now: float) -> None:
        """Says again what waits for its answer."""
        self.resend_at = NEVER
        if self._is_live and not self._is_restarting:
            for entry in self._queue.all():
                self._say_entry(now, entry)

    # --- what the server answers

    def joined(self, room: str, ref: str | None) -> bool:
        """Whether it counts: not if the room was left since it was asked for."""
        if self._joins.pop(ref or "", None) is not None:
            self._leaving.discard(room)
        return room not in self._leaving

    def left(self, room: str) -> None:
        self._leaving.discard(room)

    def is_leaving(self, room: str) -> bool:
        return room in self._leaving

    def acknowledged(self, ref: str | None, message_id: int) -> None:
        if self._queue.settle(ref):
            self._tell({"type": "ack", "ref": ref, "id": message_id})
        self._acknowledge_restart()

    def answered(self, ref: str | None, frame: Frame) -> bool:
        """Whether it was an answer."""
        if not self._queue.settle(ref):
            return False
        self._tell({"type": "answer", "ref": ref, "frame": frame})
        return True

    def refused(self, now: float, ref: str | None, code: str, message: str) -> tuple[bool, str | None]:
        """Whether the refusal is about something of this, and the room of a join if that is what was refused."""
        if ref == QUIET_REF:
            return True, None  # Not to be in a room is what was wanted.
        if code in PASSING_ERRORS and (ref is None or ref in self._queue):
            self.resend_at = min(self.resend_at, now + self._options.resend_ms)
            return True, None
        if ref is not None and ref in self._queue:
            self._refuse(ref, code, message)
            self._acknowledge_restart()
            return True, None
        return False, self._joins.pop(ref or "", None)

    # --- the rest

    def _say_join(self, room: str, after: int | None) -> None:
        if is_own_room(room):
            return
        self._references += 1
        ref = f"j{self._references}"
        self._joins[ref] = room
        begin = {} if after is None else {"last_message_id": after}
        self._say({"type": "join", "room": room, **begin, "ref": ref})

    def _say_leave(self, room: str, ref: str | None = None) -> None:
        self._leaving.add(room)
        # Their answers come before the one to this.
        self._joins = {joining: joined for joining, joined in self._joins.items() if joined != room}
        self._say({"type": "leave", "room": room, **({} if ref is None else {"ref": ref})})

    def _say_entry(self, now: float, entry: Waiting) -> None:
        if entry.said_at is None:
            entry.said_at = now
        self._say(entry.frame)

    def _forget_unsure(self, now: float, resumed: bool) -> None:
        """What may have been stored, and could be stored twice if it were said again."""
        for entry in self._queue.all():
            if entry.said_at is None:
                continue
            if entry.frame["type"] != "message":
                entry.said_at = None
            elif not resumed or now - entry.said_at >= self._options.repeat_ms:
                self._refuse(entry.ref, "outcome_unknown", "The session ended before the answer came: it may be stored or not.")

    def _refuse(self, ref: str, code: str, message: str) -> None:
        self._queue.settle(ref)
        self._tell_refused(ref, code, message)

    def _tell_refused(self, ref: str, code: str, message: str) -> None:
        self._tell({"type": "refused", "ref": ref, "code": code, "message": message})

    def _acknowledge_restart(self) -> None:
        if self._is_restarting and not self._is_ready_for_restart and self._queue.is_answered:
            self._is_ready_for_restart = True
            self._say({"type": "restart_ack"})
