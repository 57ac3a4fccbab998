"""What a way to reach the server is to the client. Refuses to know when one is made, and what its frames mean."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from .verdict import Loss

Frame = dict[str, Any]


@dataclass
class Attempt:
    """What a link is made with, and whom it tells. What is told after `drop` does not count."""

    base: str
    """The server's http:// address, with a slash at its end."""
    hello: Frame
    headers: dict[str, str]
    """For requests: the token, where there is one."""
    frame: Callable[[Frame], None]
    heard: Callable[[], None]
    """Bytes came that are no frame."""
    lost: Callable[[Loss], None]


class Link(ABC):
    """One connection, or one attempt to have one. Owns its tasks: none outlives `drop`."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.is_dropped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.start(self.run)

    @abstractmethod
    async def run(self) -> None:
        """From the attempt to the loss."""

    @abstractmethod
    def say(self, frame: Frame) -> None: ...

    @staticmethod
    @abstractmethod
    async def probe(base: str) -> bool:
        """Finds out whether it would work, without the session."""

    def drop(self) -> None:
        self.is_dropped = True
        for task in self._tasks:
            # The one that told the loss ends by itself, and closes what it opened.
            if task is not asyncio.current_task():
                task.cancel()

    async def ended(self) -> None:
        """Waits until all is closed after `drop`."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self.is_dropped:
            return
        task = asyncio.get_running_loop().create_task(self._until_lost(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_lost(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:  # Whatever a library raises, the link is what it ends.
            self.attempt.lost({"reason": f"{type(error).__name__}: {error}"})
