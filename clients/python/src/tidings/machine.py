"""What the client does and when, without a socket and without a clock: events go in with the time, commands come out.

It owns the session, and has the positions (`Arrivals`) and the queue (`Speech`), which outlive every connection. docs/client-spec.md is its
rule and clients/vectors its test; events and commands are objects with the names given there. Refuses to know how a transport works,
and what time it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .arrivals import Arrivals
from .backoff import Backoff
from .options import Options
from .positions import Positions, is_own_room
from .speech import QUIET_REF, Speech
from .verdict import Loss, verdict
from .ways import Ways

Frame = dict[str, Any]
Event = dict[str, Any]
Command = dict[str, Any]

NEVER = math.inf
REFRESH_REF = "refresh"
USUAL_PING_INTERVAL_MS = 25_000


def _known(**fields: Any) -> dict[str, Any]:
    """Only the fields that have something in them."""
    return {name: value for name, value in fields.items() if value is not None and value != {} and value != [] and value != ""}


class Machine:
    def __init__(self, options: Options, random: Callable[[], float], out: Callable[[Command], None]) -> None:
        self.phase = "idle"
        self.session_id: str | None = None
        self._options = options
        self._random = random
        self._out = out
        self._backoff = Backoff(options)
        self._arrivals = Arrivals(options.rooms, self._tell)
        self._speech = Speech(options, self._say, self._tell)
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
        self._hinted = False
        self._greeted: set[str] = set()  # The rooms that the last hello named.
        self._quiet()

    @property
    def positions(self) -> Positions:
        return self._arrivals.positions

    @property
    def transport(self) -> str:
        return self._ways.transport

    @property
    def due_ms(self) -> float:
        """When `tick` is due, whatever else happens; infinite if never."""
        refresh_at = self._refresh_at if self.phase == "live" else NEVER
        return min(self._deadline, self._silent_at, self._retry_at, self._climb_at, self._speech.resend_at, refresh_at)

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
                after = event.get("after")
                if self.positions.join(room, after):
                    self._speech.join(room, after)
            case {"type": "leave", "room": room}:
                if self.positions.leave(room):
                    self._speech.leave(room)
                    if self.phase != "live":
                        self._greeted.discard(room)  # What the hello under way says of it is not so any more.
            case {"type": "send", "ref": ref, "frame": frame}:
                self._speech.send(now_ms, ref, frame, self.phase == "closed")
            case {"type": "mention", "frame": frame}:
                self._speech.mention(frame)
            case {"type": "typing", "room": room}:
                self._speech.typing(now_ms, room)
            case {"type": "typing_stop", "room": room}:
                self._speech.typing_stop(room)
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
        self._ping_interval_ms = frame.get("ping_interval_ms") or USUAL_PING_INTERVAL_MS
        self._heard()
        self._out({"do": "remember", "transport": self.transport})
        climb_at = self._ways.worked(self._now)
        self._climb_at = NEVER if climb_at is None else climb_at
        self._tell({"type": "session", "session_id": self.session_id or "", "resumed": resumed, "node": frame.get("node")})
        self._tell_state("live")
        # Only `joined` tells where a room begins, and what was joined since was not in the hello.
        late = {room: position for room, position in self.positions.known().items() if room not in self._greeted and not is_own_room(room)}
        self._speech.begin(self._now, resumed, self.positions, late, frame.get("rooms") or [])

    def _lost(self, loss: Loss) -> None:
        if not self._is_connected and self.phase != "connecting":
            return
        lasted_ms = self._now - self._live_at if self.phase == "live" else 0
        was_tried = self._is_connected
        self._arrivals.explain(None)
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
        self._speech.close()

    def _interrupt(self, wait_ms: int) -> None:
        if self.phase in ("idle", "closed"):
            return
        self._arrivals.explain(None)
        self._abandon()
        self._hinted = True
        self._wait(wait_ms, {})

    def _abandon(self) -> None:
        if self._is_connected:
            self._out({"do": "drop"})
        self._is_connected = False
        self._quiet()

    def _quiet(self) -> None:
        self._deadline = self._silent_at = self._retry_at = self._climb_at = NEVER
        self._speech.end()

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
        if now >= self._speech.resend_at:
            self._speech.say_all(now)
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

    def _say(self, frame: Frame) -> None:
        self._out({"do": "say", "frame": frame})

    # --- what the server says

    def _frame(self, frame: Frame) -> None:
        if not self._is_connected:
            return
        self._arrivals.explain(frame)
        if self.phase == "live":
            self._heard()
        room, ref = frame.get("room") or "", frame.get("ref")
        match frame.get("type"):
            case "session":
                self._settle_in(frame)
            case "restore" | "message" | "gap" if self._speech.is_leaving(room):
                pass  # It was on its way when the room was left; if it is wanted again by now, it begins with what follows.
            case "restore":
                self._arrivals.restore(room, frame)
            case "message":
                self._arrivals.message(room, frame, False)
            case "gap":
                self._arrivals.gap(room, frame.get("after") or 0, frame.get("before"), frame.get("reason") or "expired")
            case "joined":
                if self._speech.joined(room, ref):
                    self._arrivals.joined(room, frame)
            case "left":
                self._speech.left(room)
                if ref != QUIET_REF:
                    self._tell({"type": "left", "room": room})
            case "ack":
                self._speech.acknowledged(ref, frame.get("id") or 0)
            case "error":
                self._refused(ref, frame.get("code") or "internal", frame.get("message") or "")
            case "server_restart":
                self._restart(frame.get("reconnect_after_ms") or 0)
            case "pong":
                pass
            case _:
                if not self._speech.answered(ref, frame):
                    self._tell({"type": "frame", "frame": frame})

    def _refused(self, ref: str | None, code: str, message: str) -> None:
        if self.phase != "live":
            if code == "session_unknown":
                self.session_id = None
            self._lost({"error": code, "reason": message})
            return
        if ref == REFRESH_REF and code == "not_supported":
            return  # The token goes along with the next hello.
        is_known, joining = self._speech.refused(self._now, ref, code, message)
        if not is_known:
            if joining is not None:
                self.positions.leave(joining)
            self._tell({"type": "error", "code": code, "message": message, **_known(room=joining)})

    def _restart(self, reconnect_after_ms: int) -> None:
        self._restart_ms = reconnect_after_ms
        self._tell({"type": "restart", "reconnect_after_ms": reconnect_after_ms})
        self._speech.restart()

    def _tell(self, event: dict[str, Any]) -> None:
        self._out({"do": "tell", "event": event})

    def _tell_state(self, state: str, loss: Loss | None = None, **details: Any) -> None:
        self.phase = state
        loss = loss or {}
        word = loss.get("code") if loss.get("error") is None else loss["error"]
        self._tell({"type": "state", "state": state, "transport": self.transport, **details, **_known(reason=loss.get("reason"), code=word)})
