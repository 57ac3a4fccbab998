"""Prints each message of a room with nothing but HTTP: one question after the other, each with the cursor that the last answer gave.

Usage: python follow.py [http://127.0.0.1:8080] [room] [file]     (nothing but Python)

The cursor is kept in the file, after what it stands for was printed. Whoever is interrupted goes on where it stopped, on whichever node:
nothing is missed, and at worst the last answer is printed again.
"""

import json
import os
import random
import sys
import time
import uuid
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

ADDRESS, ROOM, FILE = (sys.argv[1:] + ["http://127.0.0.1:8080", "lobby", "cursor.txt"][len(sys.argv) - 1 :])[:3]
CLIENT = uuid.uuid4().hex  # A newer poll of the same name would end this one.
ANSWER_S = 40  # A poll is held for 25 s.


def load() -> str:
    try:
        with open(FILE) as file:
            return file.read()
    except FileNotFoundError:
        return "0"  # All that the server keeps.


def save(cursor: str) -> None:
    with open(f"{FILE}.new", "w") as file:
        file.write(cursor)
    os.replace(f"{FILE}.new", FILE)  # There is always a whole one.


def show(frame: dict) -> None:
    if frame["type"] == "message":
        said = frame.get("text") or json.dumps(frame.get("data", frame.get("data_base64")))
        print(f"{frame.get('user_id', 'guest')}: {said}", flush=True)
    elif frame["type"] == "gap":
        print(f"(messages between {frame['after']} and {frame['before']} may be lost: {frame['reason']})", flush=True)


cursor = load()
try:
    while True:
        query = urlencode({"room": ROOM, "cursor": cursor, "batch": 50})
        try:
            with urlopen(f"{ADDRESS}/poll/{CLIENT}?{query}", timeout=ANSWER_S) as response:
                answer = json.load(response)
        except (OSError, ValueError) as error:
            if isinstance(error, HTTPError) and error.code == 400:
                sys.exit(error.read().decode())
            time.sleep(random.uniform(0.5, 1.5))
            continue
        for frame in answer["data"]:
            show(frame)
        if answer["cursor"] not in (None, cursor):
            cursor = answer["cursor"]
            save(cursor)
except KeyboardInterrupt:
    pass
