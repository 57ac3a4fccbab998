"""Prints prices as they come over an event stream, and goes on where it was cut off. Where it could not keep up, it is told the newest of each good.

Usage: python read.py [http://127.0.0.1:8080]     (nothing but Python)
"""

import http.client
import json
import random
import sys
import time
from urllib.request import Request, urlopen

ADDRESS = (sys.argv[1:] + ["http://127.0.0.1:8080"])[0]
SILENCE_S = 40  # The server says something every 25 s.


def events(stream):
    """Each event's id and frame. An id may come alone."""
    event = {}
    for line in stream:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name in ("id", "data"):
            event[name] = value
        elif name == "" and event:  # An empty line ends the event; a comment has none of these names, and no value.
            yield event.get("id"), json.loads(event.get("data", "{}"))
            event = {}


position = None
try:
    while True:
        try:
            headers = {"Last-Event-ID": position} if position else {}
            with urlopen(Request(f"{ADDRESS}/events?room=ticker", headers=headers), timeout=SILENCE_S) as stream:
                for id, frame in events(stream):
                    if frame.get("type") == "message":
                        print(f"{frame['key']:8} {frame['data']['price']:9.2f}", flush=True)
                    elif frame.get("type") == "gap":
                        print("(some prices are gone: the server does not keep as many)", flush=True)
                    position = id or position
        except (OSError, http.client.HTTPException) as error:
            print(error, file=sys.stderr)
        time.sleep(random.uniform(0.5, 1.5))
except KeyboardInterrupt:
    pass
