"""Says each line of its input in a room, and prints the id it was stored under.

Usage: python examples/say.py [ws://127.0.0.1:8080] [room] [name]     (needs: pip install websockets)

A line counts as said when its `ack` came. Until then it is sent again after a reconnect under the same `ref` and session, which the
server stores once.
"""

import asyncio
import json
import sys
import uuid

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

ADDRESS, ROOM, NAME = (sys.argv[1:] + ["ws://127.0.0.1:8080", "lobby", "python"][len(sys.argv) - 1 :])[:3]


async def receive(websocket, kind):
    while (frame := json.loads(await websocket.recv()))["type"] != kind:
        if frame["type"] == "error":
            sys.exit(frame["message"])
    return frame


async def main():
    lines = [(uuid.uuid4().hex, line.rstrip("\n")) for line in sys.stdin]
    session = {}
    async for websocket in connect(f"{ADDRESS}/ws"):  # Comes back by itself, a little later each time.
        try:
            await websocket.send(json.dumps({"type": "hello", "user_id": NAME, "rooms": [ROOM], **session}))
            session = {"session_id": (await receive(websocket, "session"))["session_id"]}
            while lines:
                ref, text = lines[0]
                await websocket.send(json.dumps({"type": "message", "text": text, "ref": ref}))
                print((await receive(websocket, "ack"))["id"], flush=True)
                lines.pop(0)
            return
        except ConnectionClosed:
            continue


asyncio.run(main())
