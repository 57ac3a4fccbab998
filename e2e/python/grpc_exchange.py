"""The Python package `grpcio`, knowing nothing but what reflection tells, against a server whose host:port is the only argument.

Ends with 0 when everything was answered as promised; an assertion names what was not.
"""

import queue

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from harness import DEADLINE_S, run

SERVICE = "tidings.v1.Tidings"


class Service:
    """The service's rpcs by name, and its messages, as the server describes them."""

    def __init__(self, channel):
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = DescriptorPool(self.database)
        self.channel = channel

    def rpc(self, name):
        method = self.pool.FindServiceByName(SERVICE).methods_by_name[name]
        many = {(False, False): "unary_unary", (False, True): "unary_stream", (True, True): "stream_stream"}
        kind = getattr(self.channel, many[method.client_streaming, method.server_streaming])
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        return kind(f"/{SERVICE}/{name}", request.SerializeToString, response.FromString)

    def message(self, name, **fields):
        return GetMessageClass(self.pool.FindMessageTypeByName(f"tidings.v1.{name}"))(**fields)

    def publish(self, room, text, **fields):
        return self.rpc("Publish")(self.message("PublishRequest", room=room, text=text, **fields), timeout=DEADLINE_S).id

    def subscribe(self, **fields):
        return self.rpc("Subscribe")(self.message("SubscribeRequest", **fields), timeout=DEADLINE_S)


class Session:
    """A stream of frames both ways; leaving the block cancels it."""

    def __init__(self, service, **hello):
        self.service = service
        self.frames = queue.SimpleQueue()
        self.say(hello=service.message("Hello", **hello))

    def say(self, **frame):
        self.frames.put(self.service.message("ClientFrame", **frame))

    def __enter__(self):
        self.call = self.service.rpc("Session")(iter(self.frames.get, None), timeout=DEADLINE_S)
        return self

    def __exit__(self, *_):
        self.frames.put(None)
        self.call.cancel()

    def receive(self, kind):
        return receive(self.call, kind)


def receive(call, kind):
    """The next frame of a kind; other frames are passed over."""
    for frame in call:
        if frame.WhichOneof("frame") == kind:
            return getattr(frame, kind)
    raise AssertionError(f"the stream ended before {kind} came")


def the_server_describes_itself_and_is_healthy(service):
    assert SERVICE in service.database.get_services()
    stub = health_pb2_grpc.HealthStub(service.channel)
    for name in ("", SERVICE):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, answer


def a_subscriber_that_comes_back_gets_what_it_missed(service):
    call = service.subscribe(rooms=["news"])
    receive(call, "session")
    first = service.publish("news", "first")
    assert receive(call, "message").id == first
    call.cancel()
    missed = [service.publish("news", "missed", idempotency_key="once") for _ in range(2)]
    assert missed[0] == missed[1], "the same idempotency_key is stored once"
    position = service.message("Position", room="news", last_message_id=first)
    call = service.subscribe(positions=[position])
    restored = receive(call, "restore")
    assert restored.recovered and [message.id for message in restored.messages] == missed[:1], restored
    live = service.publish("news", "live")
    assert receive(call, "message").id == live, "nothing comes twice"
    call.cancel()


def a_session_speaks_and_is_resumed(service):
    message = service.message
    with Session(service, user_id="ana", rooms=["yard"]) as ana:
        session = ana.receive("session")
        assert (session.user_id, session.resumed) == ("ana", False), session
        ana.say(message=message("Publication", text="Hello"), ref="1")
        acknowledged = ana.receive("ack")
        ana.say(join=message("Join", room="porch"), ref="2")
        joined = ana.receive("joined")
        assert joined.room == "porch", joined
        ana.say(ref="3")
        assert ana.receive("error").code == "unknown_type"
        ana.say(ping=message("Ping"))
        ana.receive("pong")
    missed = service.publish("porch", "while ana was away")
    # A session alone says what the server sent, not what arrived: the message may have been on its way when ana left.
    places = {"yard": acknowledged.id, "porch": joined.last_message_id}
    positions = [message("Position", room=room, last_message_id=place) for room, place in places.items()]
    with Session(service, session_id=session.session_id, positions=positions) as ana:
        assert ana.receive("session").resumed
        restored = {}
        while not {"yard", "porch"} <= restored.keys():
            frame = ana.receive("restore")
            restored[frame.room] = [told.id for told in frame.messages]
        assert restored["porch"] == [missed] and restored["yard"] == [], restored


def the_log_and_who_is_there_can_be_asked_for(service):
    ids = [service.publish("hall", text) for text in ("one", "two", "three")]
    history = service.rpc("History")(service.message("HistoryRequest", room="hall", after=ids[0]), timeout=DEADLINE_S)
    assert [told.id for told in history.messages] == ids[1:] and history.complete, history
    with Session(service, user_id="ben", rooms=["hall"]) as ben:
        ben.receive("session")
        presence = service.rpc("Presence")(service.message("PresenceRequest", room="hall"), timeout=DEADLINE_S)
        assert [(user.user_id, user.connections) for user in presence.users] == [("ben", 1)], presence


def a_call_that_is_wrong_is_refused_with_its_code(service):
    try:
        service.publish("", "nowhere")
    except grpc.RpcError as refused:
        assert refused.code() == grpc.StatusCode.INVALID_ARGUMENT, refused
        assert dict(refused.trailing_metadata())["tidings-code"] == "bad_room", refused
    else:
        raise AssertionError("a room without a name was taken")


def over_a_channel(act):
    def over(address):
        with grpc.insecure_channel(address) as channel:
            act(Service(channel))

    over.__name__ = act.__name__
    return over


run(
    *map(
        over_a_channel,
        (
            the_server_describes_itself_and_is_healthy,
            a_subscriber_that_comes_back_gets_what_it_missed,
            a_session_speaks_and_is_resumed,
            the_log_and_who_is_there_can_be_asked_for,
            a_call_that_is_wrong_is_refused_with_its_code,
        ),
    )
)
