"""The Python client of this repository."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

from tidings import Refused, Tidings

TASK = json.loads(sys.argv[1])


def tell(seat: int, *entry: Any) -> None:
    print(json.dumps([seat, *entry]), flush=True)


async def hear_hush(hushed: asyncio.Event) -> None:
    while await asyncio.to_thread(sys.stdin.readline):
        hushed.set()


async def main() -> None:
    hushed = asyncio.Event()
    sending: set[asyncio.Task[None]] = set()

    async def send(seat: int, room: Any, text: str) -> None:
        tell(seat, "said", text)
        try:
            tell(seat, "acknowledged", text, await room.send(text))
        except Refused as refused:
            tell(seat, "refused", text, refused.code)

    async def sit(seat: int, url: str, room: str, name: str) -> None:
        there = Tidings(url, user_id=name, transports=[TASK["transport"]]).room(room)
        there.on("message", lambda message: tell(seat, "got", message.id))
        there.on("gap", lambda gap: tell(seat, "gap", gap.after, gap.before))
        await asyncio.sleep(random.random() * TASK["say_ms"] / 1_000)
        count = 0
        while not hushed.is_set():
            sending.add(asyncio.create_task(send(seat, there, f"{name} {count}")))
            count += 1
            await asyncio.sleep(TASK["say_ms"] / 1_000)

    await asyncio.gather(hear_hush(hushed), *(sit(seat, **where) for seat, where in enumerate(TASK["seats"])))


asyncio.run(main())
