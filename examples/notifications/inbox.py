"""A user's notifications, printed as they come, beginning with those that the server still has.

Usage: python inbox.py [http://127.0.0.1:8080] [user]     (needs: pip install httpx websockets, and clients/python on PYTHONPATH)

It misses none while its connection is broken. What is older than the server's history is told as a gap.
"""

import asyncio
import sys

from tidings import Tidings

ADDRESS, USER = (sys.argv[1:] + ["http://127.0.0.1:8080", "ana"][len(sys.argv) - 1 :])[:2]


async def main() -> None:
    async with Tidings(ADDRESS, user_id=USER) as client:
        inbox = client.room(f"@{USER}", after=0)
        inbox.on("gap", lambda gap: print("(some notifications were lost)", flush=True))
        async for notification in inbox:
            print(f"{USER}: {notification.data['text']}", flush=True)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
