"""The publisher against the real server."""

from __future__ import annotations

import threading
import unittest

import httpx
from server import Server
from tidings import Publisher, Refused


class Publishing(unittest.TestCase):
    def test_text_data_and_users_messages_are_stored(self) -> None:
        server = Server(self)
        with Publisher(server.url, "a key") as publisher:
            ids = [publisher.publish("a/b c", "hi", user_id="ana"), publisher.publish("a/b c", {"loaves": 12}, key="rye")]
            self.assertGreater(publisher.publish_to_user("ana", "Your parcel is here"), 0)
        messages = httpx.get(f"{server.url}/rooms/a%2Fb%20c/messages?after=0").json()["messages"]
        self.assertEqual([message["id"] for message in messages], ids)
        self.assertEqual([messages[0]["text"], messages[1]["data"], messages[1]["key"]], ["hi", {"loaves": 12}, "rye"])

    def test_a_key_is_stored_once(self) -> None:
        with Publisher(Server(self).url) as publisher:
            first, second = (publisher.publish("news", "once", idempotency_key="k") for _ in range(2))
        self.assertEqual(first, second)

    def test_a_mistake_is_refused_at_once(self) -> None:
        with Publisher(Server(self).url) as publisher, self.assertRaises(Refused) as raised:
            publisher.publish("x" * 256, "too long a name")
        self.assertEqual(raised.exception.code, "bad_room")

    def test_it_waits_for_a_server_that_comes_back(self) -> None:
        server = Server(self)
        server.kill()
        ids: list[int] = []
        with Publisher(server.url) as publisher:
            thread = threading.Thread(target=lambda: ids.append(publisher.publish("news", "late")))
            thread.start()
            again = Server(self, port=server.port)
            thread.join(40)
        messages = httpx.get(f"{again.url}/rooms/news/messages?after=0").json()["messages"]
        self.assertEqual([message["id"] for message in messages], ids)


if __name__ == "__main__":
    unittest.main()
