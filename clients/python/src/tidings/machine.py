"""What the client does and when, without a socket and without a clock: events go in with the time, commands come out.

It owns the session, the positions and the queue, which outlive every connection. docs/client-spec.md is its rule and clients/vectors
its test; events and commands are objects with the names given there. Refuses to know how a transport works, and what time it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .backoff import Backoff
from .options import Options
from .positions import Positions, is_own_room
from .queue import Queue, Waiting
from .verdict import PASSING_ERRORS, Loss, verdict
from .ways import Ways

Frame = dict[str, Any]
Event = dict[str, Any]
Command = dict[str, Any]

NEVER = math.inf
REFRESH_REF = "refresh"
QUIET_REF = "quiet"
USUAL_PING_INTERVAL_MS = 25_000


def _known(**fields: Any) -> dict[str, Any]:
    """Only the fields that have something in them."""
    return {name: value for name, value in fields.items() if value is not None and value != {} and value != [] and value != ""}


class Machine:
    def __init__(self, options: Options, random: Callable[[], float], out: Callable[[Command], None]) -> None:
        self.positions = Positions()
        self.phase = "idle"
        self.session_id: str | None = None
        self._options = options
        self._random = random
        self._out = out
        self._backoff = Backoff(options)
        self._queue = Queue(options.queue_max)
        self._ways = Ways(options)
        self._now = 0.0
        self._token: str | None = None
        self._is_asking = False
        self._refresh_at = NEVER
        self._is_connected = False  # A transport is there, or is being made.
        self._attempted_at = -NEVER
        self._live_at = 0.0
        self._ping_interval_ms = USUAL_PING_INTERVAL_MS
        self._restart_ms: int | None = None
        self._is_restarting = self._is_ready_for_restart = False
        self._hinted = False
        # A `restore` that lacked something, `(room, after, before)`: the next frame says why, or nobody does.
        self._unexplained: tuple[str, int, int | None] | None = None
        self._joins: dict[str, str] = {}
        self._leaving: set[str] = set()  # The rooms of which it is not answered yet that they were left.
        self._greeted: set[str] = set()  # The rooms that the last hello named.
        self._references = 0
        self._typing_at: dict[str, float] = {}
        self._quiet()
        for room, after in options.rooms.items():
            self.positions.join(room, after)

    @property
    def transport(self) -> str:
        return self._ways.transport

    @property
    def due_ms(self) -> float:
        """When `tick` is due, whatever else happens; infinite if never."""
        refresh_at = self._refresh_at if self.phase == "live" else NEVER
        return min(self._deadline, self._silent_at, self._retry_at, self._climb_at, self._resend_at, refresh_at)

    def handle(self, now_ms: float, event: Event) -> None:
        self._now = now_ms
        match event:
            case {"type": "open"}:
                self._open()
            case {"type": "close"}:
                self._close({})
            case {"type": "interrupt"}:
                self._interrupt(event["wait_ms"])
            case {"type": "tick"}:
                self._tick()
            case {"type": "heard"}:
                self._heard()
            case {"type": "doubt"}:
                self._doubt()
            case {"type": "nudge"}:
                self._nudge()
            case {"type": "join", "room": room}:
                self._join(room, event.get("after"))
            case {"type": "leave", "room": room}:
                self._leave(room)
            case {"type": "send", "ref": ref, "frame": frame}:
                self._send(ref, frame)
            case {"type": "mention", "frame": frame}:
                self._mention(frame)
            case {"type": "typing", "room": room}:
                self._typing(room)
            case {"type": "typing_stop", "room": room}:
                self._typing_stop(room)
            case {"type": "frame", "frame": frame}:
                self._frame(frame)
            case {"type": "lost"}:
                self._lost(event)
            case {"type": "token", "token": token}:
                self._take_token(token, event.get("expires_at_ms"))
            case {"type": "token_failed"}:
                self._no_token()
            case {"type": "probed", "transport": transport, "ok": ok}:
                self._probed(transport, ok)
            case _:
                raise ValueError(f"no such event: {event}")

    # --- coming and going

    def _open(self) -> None:
        if self.phase in ("idle", "closed", "waiting"):
            self._attempt()

    def _attempt(self) -> None:
        self._quiet()
        self._attempted_at = self._now
        self._hinted = False
        self._tell_state("connecting")
        options = self._options
        self._deadline = self._now + (options.probe_ms if len(options.transports) > 1 else options.attempt_ms)
        if options.has_token and (self._token is None or self._is_asking or self._now >= self._refresh_at):
            self._ask_token()
        else:
            self._connect()

    def _connect(self) -> None:
        hello = _known(
            type="hello",
            token=self._token,
            user_id=self._options.user_id,
            rooms=self.positions.unknown(),
            positions=self.positions.known(),
            session_id=self.session_id,
        )
        self._greeted = {*hello.get("rooms", []), *hello.get("positions", {})}
        self._is_connected = True
        self._out({"do": "connect", "transport": self.transport, "hello": hello})

    def _settle_in(self, frame: Frame) -> None:
        self.session_id = frame.get("session_id")
        if self.phase == "live":  # The answer to `refresh`: the connection goes on as it was.
            return
        resumed = frame.get("resumed") is True
        self._live_at = self._now
        self._deadline = NEVER
        self._restart_ms = None
        self._is_restarting = self._is_ready_for_restart = False
        self._joins.clear()
        self._leaving.clear()
        self._ping_interval_ms = frame.get("ping_interval_ms") or USUAL_PING_INTERVAL_MS
        self._heard()
        self._out({"do": "remember", "transport": self.transport})
        climb_at = self._ways.worked(self._now)
        self._climb_at = NEVER if climb_at is None else climb_at
        self._tell({"type": "session", "session_id": self.session_id or "", "resumed": resumed, "node": frame.get("node")})
        self._tell_state("live")
        # Only `joined` tells where a room begins, and what was joined since was not in the hello.
        for room in self.positions.unknown():
            self._say_join(room, None)
        for room, position in self.positions.known().items():
            if room in self._greeted or is_own_room(room):
                continue
            # The session may be in it, from where it stood: only who comes in names a position.
            if room in (frame.get("rooms") or []):
                self._say_leave(room, QUIET_REF)
            self._say_join(room, position)
        # A hello that names no room is one to the lobby, and a session is in rooms that were left while it was away.
        for room in frame.get("rooms") or []:
            if room not in self.positions and not is_own_room(room):
                self._say_leave(room, QUIET_REF)
        self._forget_unsure(resumed)
        self._say_all()

    def _lost(self, loss: Loss) -> None:
        if not self._is_connected and self.phase != "connecting":
            return
        lasted_ms = self._now - self._live_at if self.phase == "live" else 0
        was_tried = self._is_connected
        self._explain(None)
        self._abandon()
        then = verdict(loss)
        if then == "stop" or (then == "token" and not self._options.has_token):
            return self._close(loss)
        if then == "token":
            self._token = None
        if was_tried:  # Without a token no transport was tried.
            self._ways.failed(loss, lasted_ms, self._restart_ms is not None)
        hint_ms = loss.get("retry_after_ms") if self._restart_ms is None else self._restart_ms
        self._restart_ms = None
        self._hinted = hint_ms is not None
        self._wait(self._backoff.lost(lasted_ms, hint_ms, self._random()), loss)

    def _wait(self, wait_ms: int, loss: Loss) -> None:
        self._retry_at = self._now + wait_ms
        self._tell_state("waiting", loss, retry_in_ms=wait_ms)

    def _close(self, loss: Loss) -> None:
        self._abandon()
        self._tell_state("closed", loss)
        for entry in self._queue.all():
            self._refuse(entry.ref, "closed", "The client was closed before this was answered.")

    def _interrupt(self, wait_ms: int) -> None:
        if self.phase in ("idle", "closed"):
            return
        self._explain(None)
        self._abandon()
        self._hinted = True
        self._wait(wait_ms, {})

    def _abandon(self) -> None:
        if self._is_connected:
            self._out({"do": "drop"})
        self._is_connected = False
        self._quiet()

    def _quiet(self) -> None:
        self._deadline = self._silent_at = self._retry_at = self._climb_at = self._resend_at = NEVER

    def _probed(self, transport: str, ok: bool) -> None:
        then = self._ways.probed(transport, ok, self.phase == "live")
        if then == "take":
            self._abandon()
            self._attempt()
        elif isinstance(then, int):
            self._climb(then)
        elif then is None:
            self._climb_at = self._ways.climb_later(self._now)

    def _climb(self, index: int) -> None:
        self._climb_at = NEVER
        self._ways.is_probing = True
        self._out({"do": "probe", "transport": self._options.transports[index]})

    # --- time, and what the world says

    def _tick(self) -> None:
        now = self._now
        if self.phase == "live" and now >= self._refresh_at:
            self._ask_token()
        if now >= self._deadline:
            return self._lost({"reason": "The server went silent." if self.phase == "live" else "No session came in time."})
        if now >= self._retry_at:
            return self._attempt()
        if now >= self._silent_at:
            self._ask_for_life(self._options.answer_ms)
        if now >= self._resend_at:
            self._say_all()
        if now >= self._climb_at:
            self._climb(0)

    def _heard(self) -> None:
        # Before the session, the deadline is the attempt's: bytes alone do not end it.
        if self.phase == "live":
            self._deadline = NEVER
        self._silent_at = self._now + self._ping_interval_ms

    def _ask_for_life(self, answer_ms: int) -> None:
        self._silent_at = NEVER
        self._deadline = min(self._deadline, self._now + answer_ms)
        self._say({"type": "ping"})

    def _doubt(self) -> None:
        if self.phase == "live":
            self._ask_for_life(self._options.doubt_ms)

    def _nudge(self) -> None:
        """There is cause to believe that the network is back. A pause that the server asked for is kept."""
        self._doubt()
        if self.phase != "waiting" or self._hinted:
            return
        self._retry_at = min(self._retry_at, max(self._now, self._attempted_at + self._options.eager_ms))
        self._tick()

    # --- tokens

    def _ask_token(self) -> None:
        self._refresh_at = NEVER
        if not self._is_asking:
            self._is_asking = True
            self._out({"do": "ask_token"})

    def _take_token(self, token: str, expires_at_ms: float | None) -> None:
        self._is_asking = False
        self._token = token
        if expires_at_ms is not None:
            lifetime_ms = max(0, expires_at_ms - self._now)
            self._refresh_at = expires_at_ms - min(self._options.token_margin_ms, lifetime_ms // 5)
        if self.phase == "live":
            self._say({"type": "refresh", "token": token, "ref": REFRESH_REF})
        elif self.phase == "connecting" and not self._is_connected:
            self._connect()

    def _no_token(self) -> None:
        self._is_asking = False
        if self.phase == "connecting" and not self._is_connected:
            return self._lost({"reason": "No token could be had."})
        retry_ms = self._options.token_retry_ms
        self._refresh_at = self._now + retry_ms + int(self._random() * retry_ms)

    # --- what the application says

    def _join(self, room: str, after: int | None) -> None:
        if self.positions.join(room, after) and self.phase == "live":
            self._say_join(room, after)

    def _say_join(self, room: str, after: int | None) -> None:
        if is_own_room(room):
            return
        self._references += 1
        ref = f"j{self._references}"
        self._joins[ref] = room
        self._say({"type": "join", "room": room, **_known(last_message_id=after), "ref": ref})

    def _leave(self, room: str) -> None:
        if not self.positions.leave(room):
            return
        if self.phase != "live":
            self._greeted.discard(room)  # What the hello under way says of it is not so any more.
        elif not is_own_room(room):
            self._say_leave(room)

    def _say_leave(self, room: str, ref: str | None = None) -> None:
        self._leaving.add(room)
        # Their answers come before the one to this.
        self._joins = {joining: joined for joining, joined in self._joins.items() if joined != room}
        self._say({"type": "leave", "room": room, **_known(ref=ref)})

    def _send(self, ref: str, frame: Frame) -> None:
        is_closed = self.phase == "closed"
        entry = None if is_closed else self._queue.add(ref, {**frame, "ref": ref})
        if not entry:
            code = "closed" if is_closed else "queue_full"
            # Not `_refuse`: another entry of this `ref` would be forgotten.
            return self._tell_refused(ref, code, "It was not taken: too much waits already, or the client is closed.")
        if frame["type"] == "message":
            self._typing_at.pop(frame.get("room") or "", None)
        # A server that restarts answers what it has; what is new waits for the next one.
        if self.phase == "live" and not self._is_restarting:
            self._say_entry(entry)

    def _mention(self, frame: Frame) -> None:
        if self.phase == "live":
            self._say(frame)

    def _typing(self, room: str) -> None:
        if self.phase != "live" or self._now - self._typing_at.get(room, -NEVER) < self._options.typing_ms:
            return
        self._typing_at[room] = self._now
        self._say({"type": "typing_start", "room": room})

    def _typing_stop(self, room: str) -> None:
        if self._typing_at.pop(room, None) is not None:
            self._mention({"type": "typing_stop", "room": room})

    def _say(self, frame: Frame) -> None:
        self._out({"do": "say", "frame": frame})

    def _say_entry(self, entry: Waiting) -> None:
        if entry.said_at is None:
            entry.said_at = self._now
        self._say(entry.frame)

    def _say_all(self) -> None:
        self._resend_at = NEVER
        if self.phase == "live" and not self._is_restarting:
            for entry in self._queue.all():
                self._say_entry(entry)

    def _forget_unsure(self, resumed: bool) -> None:
        """What may have been stored, and could be stored twice if it were said again."""
        for entry in self._queue.all():
            if entry.said_at is None:
                continue
            if entry.frame["type"] != "message":
                entry.said_at = None
            elif not resumed or self._now - entry.said_at >= self._options.repeat_ms:
                self._refuse(entry.ref, "outcome_unknown", "The session ended before the answer came: it may be stored or not.")

    def _refuse(self, ref: str, code: str, message: str) -> None:
        self._queue.settle(ref)
        self._tell_refused(ref, code, message)

    def _tell_refused(self, ref: str, code: str, message: str) -> None:
        self._tell({"type": "refused", "ref": ref, "code": code, "message": message})

    # --- what the server says

    def _frame(self, frame: Frame) -> None:
        if not self._is_connected:
            return
        self._explain(frame)
        if self.phase == "live":
            self._heard()
        room, ref = frame.get("room") or "", frame.get("ref")
        match frame.get("type"):
            case "session":
                self._settle_in(frame)
            case "restore" | "message" | "gap" if room in self._leaving:
                pass  # It was on its way when the room was left; if it is wanted again by now, it begins with what follows.
            case "restore":
                self._restore(room, frame)
            case "message":
                self._deliver(room, frame, False)
            case "gap":
                self._gap(room, frame.get("after") or 0, frame.get("before"), frame.get("reason") or "expired")
            case "joined":
                self._joined(room, frame)
            case "left":
                self._leaving.discard(room)
                if ref != QUIET_REF:
                    self._tell({"type": "left", "room": room})
            case "ack":
                if self._queue.settle(ref):
                    self._tell({"type": "ack", "ref": ref, "id": frame.get("id") or 0})
                self._acknowledge_restart()
            case "error":
                self._refused(ref, frame.get("code") or "internal", frame.get("message") or "")
            case "server_restart":
                self._restart(frame.get("reconnect_after_ms") or 0)
            case "pong":
                pass
            case _ if self._queue.settle(ref):
                self._tell({"type": "answer", "ref": ref, "frame": frame})
            case _:
                self._tell({"type": "frame", "frame": frame})

    def _restore(self, room: str, frame: Frame) -> None:
        messages, recovered = frame.get("messages") or [], frame.get("recovered", True)
        after = self.positions.of(room)
        first = messages[0]["id"] if messages else None
        # Position 0 asks for all there is, and has lost nothing.
        if not recovered and after is not None and after > 0:
            self._unexplained = (room, after, first)
        if after is None and first is not None:
            self.positions.begin(room, first - 1)
        fresh = [message for message in messages if self._deliver(room, message, True)]
        self.positions.advance(room, frame.get("last_message_id") or 0)
        if room in self.positions:
            self._tell({"type": "restored", "room": room, "messages": len(fresh), "recovered": recovered})

    def _deliver(self, room: str, message: Frame, recovered: bool) -> bool:
        if not self.positions.accept(room, message["id"]):
            return False
        self._tell({"type": "message", "room": room, "message": message, "recovered": recovered})
        return True

    def _gap(self, room: str, after: int, before: int | None, reason: str) -> None:
        if self.positions.accept_gap(room, after, before, reason):
            self._tell({"type": "gap", "room": room, "after": after, "before": before, "reason": reason})

    def _explain(self, frame: Frame | None) -> None:
        """Something was missing and the frame that follows does not say what: then this client says it."""
        unexplained, self._unexplained = self._unexplained, None
        if unexplained and not (frame and frame.get("type") == "gap" and frame.get("room") == unexplained[0]):
            self._gap(*unexplained, "expired")

    def _joined(self, room: str, frame: Frame) -> None:
        if self._joins.pop(frame.get("ref") or "", None) is not None:
            self._leaving.discard(room)
        if room in self._leaving:
            return
        self.positions.begin(room, frame.get("last_message_id") or 0)
        if room in self.positions:
            self._tell({"type": "joined", "room": room})

    def _refused(self, ref: str | None, code: str, message: str) -> None:
        if self.phase != "live":
            if code == "session_unknown":
                self.session_id = None
            self._lost({"error": code, "reason": message})
        elif ref == QUIET_REF or (ref == REFRESH_REF and code == "not_supported"):
            pass  # Not to be in a room is what was wanted; and the token goes along with the next hello.
        elif code in PASSING_ERRORS and (ref is None or ref in self._queue):
            self._resend_at = min(self._resend_at, self._now + self._options.resend_ms)
        elif ref is not None and ref in self._queue:
            self._refuse(ref, code, message)
            self._acknowledge_restart()
        else:
            joining = self._joins.pop(ref or "", None)
            if joining is not None:
                self.positions.leave(joining)
            self._tell({"type": "error", "code": code, "message": message, **_known(room=joining)})

    def _restart(self, reconnect_after_ms: int) -> None:
        self._restart_ms = reconnect_after_ms
        self._is_restarting = True
        self._tell({"type": "restart", "reconnect_after_ms": reconnect_after_ms})
        self._acknowledge_restart()

    def _acknowledge_restart(self) -> None:
        if self._is_restarting and not self._is_ready_for_restart and self._queue.is_answered:
            self._is_ready_for_restart = True
            self._say({"type": "restart_ack"})

    def _tell(self, event: dict[str, Any]) -> None:
        self._out({"do": "tell", "event": event})

    def _tell_state(self, state: str, loss: Loss | None = None, **details: Any) -> None:
        self.phase = state
        loss = loss or {}
        word = loss.get("code") if loss.get("error") is None else loss["error"]
        self._tell({"type": "state", "state": state, "transport": self.transport, **details, **_known(reason=loss.get("reason"), code=word)})
