"""A room as the application has it: what happens in it, and what is said in it. Owned by a client, which has the connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from .errors import Refused
from .events import Emitter, Message, User

if TYPE_CHECKING:
    from .client import Tidings


class Unread:
    """Messages for an `async for`. One that falls behind by more than the bound is told so: it ends with `Refused`, `unread_full`."""

    def __init__(self, messages_max: int) -> None:
        self._messages: deque[Message] = deque()
        self._messages_max = messages_max
        self._end: Refused | None = None
        self._is_over = False
        self._news = asyncio.Event()

    def add(self, message: Message) -> None:
        if len(self._messages) < self._messages_max:
            self._messages.append(message)
            self._news.set()
        else:
            self.end(Refused("unread_full", f"{self._messages_max} messages wait to be read; read faster, or use on('message')."))

    def end(self, why: Refused | None) -> None:
        if not self._is_over:
            self._is_over, self._end = True, why
            self._news.set()

    async def next(self) -> Message:
        while not self._messages:
            if self._is_over:
                raise self._end or StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._messages.popleft()


class Room(Emitter):
    """Events: `message`, `typing`, `presence`, `gap`, `joined`, `left`, `restored`, `error`."""

    def __init__(self, client: Tidings, name: str, unread_max: int) -> None:
        super().__init__()
        self.name = name
        self._client = client
        self._unread_max = unread_max
        # What was not read yet by an `async for`, whether one is under way or will be; none where a handler takes the messages.
        self._unread: Unread | None = Unread(unread_max)
        self._is_read = False

    async def send(self, content: Any, *, key: str | None = None) -> int:
        """Says text (a string) or data (any other JSON); gives the id under which it was stored.

        While the client is away it waits and goes out once. Raises `Refused`; to be cancelled does not call a message back.
        """
        frame: dict[str, Any] = {"type": "message", "room": self.name, ("text" if isinstance(content, str) else "data"): content}
        if key is not None:
            frame["key"] = key
        message_id: int = await self._client.ask(frame)
        return message_id

    def typing(self, is_typing: bool = True) -> None:
        """To be called with every key pressed; it goes out every few seconds."""
        self._client.feed({"type": "typing" if is_typing else "typing_stop", "room": self.name})

    async def presence(self) -> list[User]:
        """Who is here."""
        users: list[User] = []
        while True:
            after = {"after": users[-1].user_id} if users else {}
            page = await self._client.ask({"type": "presence", "room": self.name, **after})
            users += [User(user["user_id"], user["connections"]) for user in page["users"]]
            if page["complete"] or not page["users"]:
                return users

    def leave(self) -> None:
        self._client.forget(self)
        self.end(None)

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Messages in order, beginning with those that came since the room was named or the last `async for` was left.

        Two at once share them. It ends when the client or the room is left, and raises `Refused` when the server ended it.
        """
        self._is_read = True
        unread = self._unread = self._unread or Unread(self._unread_max)
        while True:
            try:
                message = await unread.next()
            except StopAsyncIteration:
                return
            except Refused:
                self._unread = None
                raise
            yield message

    def on(self, event: str, handler: Any = None) -> Any:
        if event == "message" and handler is not None and not self._is_read:
            self._unread = None
        return super().on(event, handler)

    def emit(self, event: str, value: Any) -> None:
        if event == "message" and self._unread:
            self._unread.add(value)
        super().emit(event, value)

    def end(self, why: Refused | None) -> None:
        if self._unread:
            self._unread.end(why)
