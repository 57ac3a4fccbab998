"""What the scripts beside this one have in common: acts that run one after the other, each against rooms of its own."""

import asyncio
import json
import sys

DEADLINE_S = 20


async def receive(websocket, kind, **fields):
    """The next frame of a type with these fields; other frames are passed over."""
    async with asyncio.timeout(DEADLINE_S):
        async for text in websocket:
            frame = json.loads(text)
            if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items()):
                return frame
    raise AssertionError(f"the connection ended before {kind} came")


def run(*acts):
    """Runs the acts with the server's address, the only argument, and prints the name of each that was answered as promised."""
    for act in acts:
        outcome = act(sys.argv[1])
        if asyncio.iscoroutine(outcome):
            asyncio.run(outcome)
        print(act.__name__)
