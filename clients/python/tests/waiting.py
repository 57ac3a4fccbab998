"""Waiting for what must become true, with a deadline that only a failure reaches; and what every test of the client begins with."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tidings import Message, Options, Room, State, Tidings

TRANSPORTS = ("websocket", "sse", "poll")
# Pauses as of a client that is in a hurry; which ones are chosen is what the vectors test.
HURRY = Options(first_ms=50, longest_ms=200, least_ms=10, attempt_ms=5_000)
DEADLINE_S = 30
T = TypeVar("T")


async def soon(what: Awaitable[T]) -> T:
    return await asyncio.wait_for(what, DEADLINE_S)


class States:
    """The states that a client is told, each in its turn."""

    def __init__(self, client: Tidings) -> None:
        self.told: list[State] = []
        self._news: asyncio.Queue[State] = asyncio.Queue()
        client.on("state", self._add)

    def _add(self, state: State) -> None:
        self.told.append(state)
        self._news.put_nowait(state)

    async def next(self, name: str, transport: str | None = None) -> State:
        """The next one of this name that was not looked at yet."""
        while True:
            state = await soon(self._news.get())
            if state.state == name and transport in (None, state.transport):
                return state


async def until(client: Tidings, state: str) -> None:
    reached = asyncio.Event()

    def look(told: State) -> None:
        if told.state == state:
            reached.set()

    client.on("state", look)
    if client.state == state:
        reached.set()
    await soon(reached.wait())
    client.off("state", look)


async def live_in(room: Room, client: Tidings) -> None:
    """Being in a room is known by one's own question there."""
    await until(client, "live")
    await soon(room.presence())


async def read(room: Room, last: int) -> list[Message]:
    """What comes in a room, up to the message with this id."""
    messages = []
    async for message in room:
        messages.append(message)
        if message.id >= last:
            break
    return messages


def over_each_transport(test: Callable[[Any, str], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    async def run(self: unittest.TestCase) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                await test(self, transport)

    return run
