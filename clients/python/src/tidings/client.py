"""The client: it drives the machine with links, timers and tokens, and tells the application what comes of it.

Owns the link, the rooms and the answers waited for. Refuses to decide anything itself.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Union

from .errors import Refused
from .events import Emitter, Gap, Message, Presence, State, Typing, log
from .machine import Command, Event, Frame, Machine
from .options import Options
from .poll import PollLink
from .room import Room
from .sse import SseLink
from .tokens import expiry_of
from .transport import Attempt, Link
from .websocket import WebSocketLink

TokenSource = Union[str, Callable[[], Union[str, Awaitable[str]]]]
LINKS: dict[str, type[Link]] = {"websocket": WebSocketLink, "sse": SseLink, "poll": PollLink}
PROBE_S = 5
ADDRESSES_MAX = 100
# The transport that worked last, by the server's address, as long as the process lives.
_remembered: dict[str, str] = {}


class Tidings(Emitter):
    """One session with a server. Events: `state`, `session`, `message`, `gap`, `restart`, `error`, `frame`.

    It is made inside a running event loop, connects with the first `room()` or `connect()`, and is closed by `close()`, at the end of
    `async with`, or when the server refuses it for good. Then only `connect()` opens it again.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource | None = None,
        *,
        user_id: str | None = None,
        transports: Sequence[str] = ("websocket", "sse", "poll"),
        unread_max: int = 1_000,
        options: Options = Options(),
    ) -> None:
        """`token` is a token, or a function that gives one, which is then asked anew before one expires."""
        super().__init__()
        self._base = ("http" + url.removeprefix("ws") if url.startswith("ws") else url).rstrip("/") + "/"
        self._token_source = token
        self._token: str | None = None
        self._unread_max = unread_max
        self._rooms: dict[str, Room] = {}
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._link: Link | None = None
        self._attempt = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()  # Of links that were let go of.
        self._events: deque[Event] = deque()
        self._is_feeding = False
        self._commands: list[Command] = []
        self._is_opening = False
        remembered = _remembered.get(self._base)
        options = replace(options, transports=tuple(transports), user_id=user_id, has_token=callable(token), remembered=remembered)
        self._machine = Machine(options, random.random, self._commands.append)
        if isinstance(token, str):
            self._take_token(token)

    async def __aenter__(self) -> Tidings:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def state(self) -> str:
        return self._machine.phase

    @property
    def transport(self) -> str:
        return self._machine.transport

    @property
    def session_id(self) -> str | None:
        return self._machine.session_id

    def connect(self) -> None:
        """Connects when the caller next waits, so that rooms named until then are in the first `hello`."""
        if not self._is_opening and self._machine.phase in ("idle", "closed"):
            self._is_opening = True
            self._loop.call_soon(self._open)

    def room(self, name: str, after: int | None = None) -> Room:
        """Joins a room, from the position `after` on, or live. The room of a user's own messages is `@` and the user's id."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(self, name, self._unread_max)
            self.feed({"type": "join", "room": name, "after": after})
            self._begin()
        return room

    def nudge(self) -> None:
        """There is cause to believe that the network is back."""
        self.feed({"type": "nudge"})

    async def close(self) -> None:
        """What is not answered yet is refused with `closed`."""
        self.feed({"type": "close"})
        for room in self._rooms.values():
            room.end(None)
        for task in self._tasks:
            task.cancel()
        while running := self._tasks | self._endings:
            await asyncio.wait(running)

    async def ask(self, frame: Frame) -> Any:
        """Says something that is to be answered; gives the id of a message, the frame that answers a question."""
        self._begin()
        ref = uuid.uuid4().hex
        answer = self._answers[ref] = self._loop.create_future()
        self.feed({"type": "send", "ref": ref, "frame": frame})
        try:
            return await answer
        finally:
            self._answers.pop(ref, None)

    def forget(self, room: Room) -> None:
        if self._rooms.pop(room.name, None):
            self.feed({"type": "leave", "room": room.name})

    def feed(self, event: Event) -> None:
        """Gives the machine an event and does what it says. One after the other: a handler may call this while one is done."""
        self._events.append(event)
        if self._is_feeding:
            return
        self._is_feeding = True
        try:
            while self._events:
                self._machine.handle(self._now_ms(), self._events.popleft())
                commands = self._commands[:]
                self._commands.clear()
                for command in commands:
                    self._do(command)
        finally:
            self._is_feeding = False
        self._set_timer()

    @staticmethod
    def _now_ms() -> int:
        return int(time.monotonic() * 1_000)

    def _begin(self) -> None:
        # Not when it is closed: who was refused, or whose session another one has, stays away until the application wants it back.
        if self._machine.phase == "idle":
            self.connect()

    def _open(self) -> None:
        self._is_opening = False
        self.feed({"type": "open"})

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        due_ms = self._machine.due_ms
        self._timer = None
        if due_ms < float("inf"):
            # Rounded up, so that the tick does not come a moment before its time and again.
            seconds = max(0.0, due_ms + 1 - time.monotonic() * 1_000) / 1_000
            self._timer = self._loop.call_later(seconds, self.feed, {"type": "tick"})

    def _do(self, command: Command) -> None:
        match command:
            case {"do": "connect", "transport": transport, "hello": hello}:
                self._connect(transport, hello)
            case {"do": "drop"}:
                if self._link:
                    self._link.drop()
                    self._start(self._link.ended(), self._endings)
                self._link = None
            case {"do": "say", "frame": frame}:
                if self._link:
                    self._link.say(frame)
            case {"do": "ask_token"}:
                self._start(self._ask_token(), self._tasks)
            case {"do": "probe", "transport": transport}:
                self._start(self._probe(transport), self._tasks)
            case {"do": "remember", "transport": transport}:
                if len(_remembered) >= ADDRESSES_MAX:
                    _remembered.clear()
                _remembered[self._base] = transport
            case {"do": "tell", "event": event}:
                self._tell(event)

    def _connect(self, transport: str, hello: Frame) -> None:
        # Greater with each connection, so that a late one does not take the session from a newer one.
        self._attempt = max(self._attempt + 1, int(time.time() * 1_000))
        link: Link | None = None

        def feed(event: Event) -> None:
            if link is not None and link is self._link:
                self.feed(event)

        link = self._link = LINKS[transport](
            Attempt(
                base=self._base,
                hello={**hello, "attempt": self._attempt},
                headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
                frame=lambda frame: feed({"type": "frame", "frame": frame}),
                heard=lambda: feed({"type": "heard"}),
                lost=lambda loss: feed({**loss, "type": "lost"}),
            )
        )

    def _start(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _probe(self, transport: str) -> None:
        try:
            ok = await asyncio.wait_for(LINKS[transport].probe(self._base), PROBE_S)
        except Exception:  # Whatever a library raises, it did not work.
            ok = False
        self.feed({"type": "probed", "transport": transport, "ok": ok})

    async def _ask_token(self) -> None:
        try:
            assert callable(self._token_source)
            given = self._token_source()
            self._take_token(await given if inspect.isawaitable(given) else given)
        except Exception:
            log.exception("no token could be had")
            self.feed({"type": "token_failed"})

    def _take_token(self, token: str) -> None:
        self._token = token
        expires_at_s = expiry_of(token)
        expires_at_ms = None if expires_at_s is None else self._now_ms() + int((expires_at_s - time.time()) * 1_000)
        # A token that cannot be replaced is not refreshed.
        self.feed({"type": "token", "token": token, "expires_at_ms": expires_at_ms if callable(self._token_source) else None})

    def _tell(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "ack", "ref": ref, "id": message_id}:
                self._answer(ref, message_id)
            case {"type": "answer", "ref": ref, "frame": frame}:
                self._answer(ref, frame)
            case {"type": "refused", "ref": ref, "code": code, "message": message}:
                self._answer(ref, Refused(code, message))
            case {"type": "message", "room": room, "message": frame, "recovered": recovered}:
                self._emit(room, "message", Message.of(room, frame, recovered))
            case {"type": "gap"}:
                self._emit(event["room"], "gap", Gap(event["room"], event["after"], event["before"], event["reason"]))
            case {"type": "state"}:
                state = State(**{name: value for name, value in event.items() if name != "type"})
                self.emit("state", state)
                if state.state == "closed":
                    why = None if state.code is None else Refused(str(state.code), state.reason or "The server refused the session.")
                    for room_there in list(self._rooms.values()):
                        room_there.end(why)
            case {"type": "frame", "frame": frame}:
                self._tell_frame(frame)
            case {"type": kind}:
                self._emit(event.get("room"), kind, event)

    def _tell_frame(self, frame: Frame) -> None:
        room = frame.get("room") or ""
        match frame:
            case {"type": "user_typing" | "user_stopped_typing" as kind, "user_id": user}:
                self._emit(room, "typing", Typing(room, user, kind == "user_typing"))
            case {"type": "user_joined", "user_id": user}:
                self._emit(room, "presence", Presence(room, (user,), ()))
            case {"type": "user_left", "user_id": user}:
                self._emit(room, "presence", Presence(room, (), (user,)))
            case {"type": "presence_changed"}:
                self._emit(room, "presence", Presence(room, tuple(frame["joined_ids"]), tuple(frame["left_ids"]), frame["users"]))
            case _:
                self.emit("frame", frame)

    def _emit(self, room: str | None, kind: str, value: Any) -> None:
        """To the room's handlers, and to the client's."""
        there = self._rooms.get(room or "")
        if there:
            there.emit(kind, value)
        self.emit(kind, value)

    def _answer(self, ref: str, value: Any) -> None:
        answer = self._answers.get(ref)
        if answer and not answer.done():
            if isinstance(value, Refused):
                answer.set_exception(value)
            else:
                answer.set_result(value)
