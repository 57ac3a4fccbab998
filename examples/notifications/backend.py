"""A backend with something to tell its users: each line of its input, `user: text`, becomes a notification.

Usage: python backend.py [http://127.0.0.1:8080]     (needs: pip install httpx websockets, and clients/python on PYTHONPATH)

It holds no connection to anybody: a notification is one request, which is tried again and never sent twice. The key is for a server that
asks for one; today's takes whoever comes.
"""

import os
import sys

from tidings import Publisher

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"

with Publisher(ADDRESS, os.environ.get("TIDINGS_KEY")) as publisher:
    for line in sys.stdin:
        user, _, text = line.strip().partition(": ")
        if text:
            print(publisher.publish_to_user(user, {"text": text}), flush=True)
