"""The Python packages `httpx` and `sseclient-py` against a server whose http:// address is the only argument.

Ends with 0 when everything was answered as promised; an assertion names what was not.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
from harness import DEADLINE_S, run
from sseclient import SSEClient


def publish(http, room, text):
    return http.post(f"/rooms/{room}/messages", json={"text": text}).raise_for_status().json()["id"]


def events(response):
    """The stream's events as `(name, last event id, frame)`."""
    for event in SSEClient(response.iter_bytes()).events():
        yield event.event, event.id, event.data and json.loads(event.data)


def until(stream, kind):
    """The next event of a type and the id that a client would come back with; other events are passed over."""
    for name, last_event_id, frame in stream:
        if name == kind:
            return last_event_id, frame
    raise AssertionError(f"the stream ended before {kind} came")


def a_reader_comes_back_with_its_last_event_id(http):
    path = "/events?room=bakery&room=brewery"
    with http.stream("GET", path) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = events(response)
        _, session = until(stream, "session")
        for _ in ("bakery", "brewery"):
            until(stream, "joined")
        first = publish(http, "bakery", "bread")
        last_event_id, message = until(stream, "message")
        assert message["id"] == first
    missed = {publish(http, "brewery", "ale"), publish(http, "bakery", "cake")}
    with http.stream("GET", path, headers={"Last-Event-ID": last_event_id}) as response:
        stream = events(response)
        assert until(stream, "joined")[1]["recovered"] is True
        got = {until(stream, "message")[1]["id"] for _ in missed}
        assert got == missed, (got, missed)
        live = publish(http, "bakery", "pie")
        assert until(stream, "message")[1]["id"] == live, "nothing comes twice"


def a_poller_reads_on_where_it_was(http):
    poll = lambda **query: http.get("/poll/python", params={"room": "mill", **query}).raise_for_status().json()
    cursor = poll(timeout_s=0)["cursor"]
    ids = [publish(http, "mill", f"sack {number}") for number in range(5)]
    got = []
    while len(got) < len(ids):
        answer = poll(cursor=cursor, batch=2)
        got += [frame["id"] for frame in answer["data"]]
        cursor = answer["cursor"]
    assert got == ids, (got, ids)
    assert poll(cursor=cursor, timeout_s=0)["data"] is None
    with ThreadPoolExecutor() as beside:
        held = beside.submit(poll, cursor=cursor)
        late = publish(http, "mill", "sack 6")
        assert held.result()["data"]["id"] == late


def a_session_on_a_stream_speaks_by_post(http):
    with http.stream("GET", "/events?room=forge&user_id=ana") as response:
        stream = events(response)
        _, session = until(stream, "session")
        until(stream, "joined")
        send = f"/sessions/{session['session_id']}/send"
        frame = {"type": "message", "room": "forge", "data": {"sparks": 3}, "ref": "1"}
        answers = [http.post(send, json=frame).raise_for_status().json() for _ in range(2)]
        assert answers[0]["type"] == "ack" and answers[0] == answers[1], answers
        _, message = until(stream, "message")
        assert (message["id"], message["user_id"], message["data"]) == (answers[0]["id"], "ana", {"sparks": 3})
        assert http.post(send, json={"type": "dance"}).json()["code"] == "unknown_type"


def each_version_of_http(act):
    def over_both(address):
        for options in ({}, {"http1": False, "http2": True}):  # httpx speaks HTTP/2 without TLS if it may speak nothing else.
            with httpx.Client(base_url=address, timeout=DEADLINE_S, **options) as http:
                act(http)

    over_both.__name__ = act.__name__
    return over_both


run(*map(each_version_of_http, (a_reader_comes_back_with_its_last_event_id, a_poller_reads_on_where_it_was, a_session_on_a_stream_speaks_by_post)))
