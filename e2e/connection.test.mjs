// The page's connection without a browser: a scripted socket and a clock that the test turns. What is promised here would
// take minutes to see in Chromium.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";

import { Connection } from "../web/connection.js";
import { UNSENT_MAX } from "../web/unsent.js";
import { WebSocketTransport } from "../web/websocket_transport.js";

// Browsers and newer versions of Node.js have it; Node.js 18 has it only by another name.
globalThis.crypto ??= webcrypto;

const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

/** Time that passes only when `pass` is called. */
class Clock {
  now_ms = 0;
  #alarms = new Map();
  #number = 0;

  set = (act, wait_ms) => {
    this.#alarms.set(++this.#number, { act, at_ms: this.now_ms + wait_ms });
    return this.#number;
  };

  clear = (number) => this.#alarms.delete(number);

  pass(ms) {
    const end_ms = this.now_ms + ms;
    for (;;) {
      const [due] = [...this.#alarms].filter(([, { at_ms }]) => at_ms <= end_ms).sort(([, a], [, b]) => a.at_ms - b.at_ms);
      if (!due) break;
      const [number, { act, at_ms }] = due;
      this.#alarms.delete(number);
      this.now_ms = at_ms;
      act();
    }
    this.now_ms = end_ms;
  }
}

/** The server's end of every socket the connection opens. */
class ScriptedSocket {
  static opened = [];
  sent = [];
  closed = false;

  constructor() {
    ScriptedSocket.opened.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closed = true;
  }

  says(...frames) {
    for (const frame of frames) this.onmessage({ data: JSON.stringify(frame) });
  }

  welcomes(...frames) {
    this.onopen({});
    this.says({ type: "session", session_id: "ab".repeat(16), ping_interval_ms: 25_000, node: "one" }, ...frames);
  }

  breaks(code = 1006) {
    this.onclose({ code, reason: "" });
  }
}

let clock, events, connection;
const socket = () => ScriptedSocket.opened.at(-1);
const seen = (type) => events.filter((event) => event.type === type);
const message = (id, text = `text ${id}`) => ({ type: "message", room: "r", id, user_id: "ben", text });
const restore = (...messages) => ({ type: "restore", room: "r", messages, last_message_id: messages.at(-1)?.id ?? 1, recovered: true });

beforeEach(() => {
  clock = new Clock();
  Object.assign(globalThis, { setTimeout: clock.set, clearTimeout: clock.clear });
  ScriptedSocket.opened = [];
  events = [];
  const listener = (event) => events.push(event);
  const connect = (attempt) => new WebSocketTransport({ ...attempt, WebSocket: ScriptedSocket });
  connection = new Connection({ base: "http://server/", rooms: ["r"], user_id: "ana", connect, listener });
  connection.open();
});

afterEach(() => Object.assign(globalThis, real));

/** Lets the planned wait pass; gives its length. */
function wait_for_next_attempt() {
  const before = ScriptedSocket.opened.length;
  const start_ms = clock.now_ms;
  while (ScriptedSocket.opened.length === before) clock.pass(1);
  return clock.now_ms - start_ms;
}

test("the first frame says who comes, where to, and that nothing is known yet", () => {
  socket().onopen({});
  assert.deepEqual(socket().sent, [{ type: "hello", user_id: "ana", rooms: ["r"], positions: { r: 0 } }]);
});

test("a reconnect asks for what came after the last message, with the same session", () => {
  socket().welcomes(restore(message(5)), message(7));
  socket().breaks();
  wait_for_next_attempt();
  socket().onopen({});
  assert.deepEqual(socket().sent[0].positions, { r: 7 });
  assert.equal(socket().sent[0].session_id, "ab".repeat(16));
});

test("a message that comes twice is shown once", () => {
  socket().welcomes(restore(message(5)), message(5), message(6), message(6), message(5));
  assert.deepEqual(seen("message").map(({ message: { id } }) => id), [5, 6]);
});

test("only what was missed is marked as recovered", () => {
  socket().welcomes(restore(message(5)));
  socket().breaks();
  wait_for_next_attempt();
  socket().welcomes(restore(message(6), message(7)), message(8));
  assert.deepEqual(seen("message").map(({ recovered }) => recovered), [false, true, true, false]);
  assert.deepEqual(seen("restored"), [{ type: "restored", room: "r", messages: 2 }]);
});

test("what was missed in a room that was empty at first is marked too", () => {
  socket().welcomes(restore());
  socket().breaks();
  wait_for_next_attempt();
  socket().welcomes(restore(message(6)));
  assert.deepEqual(seen("message").map(({ recovered }) => recovered), [true]);
});

test("who stands in an empty room says so when coming back, so that a restart in between is told", () => {
  socket().welcomes({ ...restore(), last_message_id: 40 });
  socket().breaks();
  wait_for_next_attempt();
  const gap = { type: "gap", room: "r", after: 40, before: 91, reason: "expired" };
  socket().welcomes({ ...restore(), last_message_id: 90, recovered: false }, gap);
  assert.deepEqual(socket().sent[0].positions, { r: 40 });
  assert.deepEqual(seen("gap"), [{ type: "gap", room: "r", after: 40, before: 91, reason: "expired" }]);
});

test("what a room forgot before one came is no loss, what it forgot since is", () => {
  const gap = { type: "gap", room: "r", after: 0, before: 5, reason: "expired" };
  socket().welcomes(gap, restore(message(5)));
  assert.deepEqual(seen("gap"), []);
  socket().says({ ...gap, after: 5, before: 9 });
  assert.deepEqual(seen("gap"), [{ type: "gap", room: "r", after: 5, before: 9, reason: "expired" }]);
});

test("unacknowledged messages are sent again in order under the same ref", () => {
  socket().welcomes(restore());
  const first = connection.send("r", "first");
  const second = connection.send("r", "second");
  socket().says({ type: "ack", ref: first.ref, room: "r", id: 11 });
  socket().breaks();
  const third = connection.send("r", "third");
  wait_for_next_attempt();
  socket().welcomes(restore());
  const sent_again = socket().sent.filter(({ type }) => type === "message").map(({ ref, text }) => [ref, text]);
  assert.deepEqual(sent_again, [[second.ref, "second"], [third.ref, "third"]]);
});

test("waits double from one second to thirty, with jitter, and start anew once a session stands", () => {
  socket().welcomes(restore());
  for (const step_ms of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    socket().breaks();
    const waited_ms = wait_for_next_attempt();
    assert.ok(waited_ms >= step_ms / 2 && waited_ms <= step_ms, `waited ${waited_ms} of ${step_ms} ms`);
  }
  socket().welcomes(restore());
  socket().breaks();
  assert.ok(wait_for_next_attempt() <= 1_000);
});

test("a server at capacity is not asked again every second", () => {
  for (const step_ms of [1_000, 2_000, 4_000]) {
    socket().onopen({});
    socket().breaks(1013);
    assert.ok(wait_for_next_attempt() >= step_ms / 2);
  }
});

test("an attempt that nobody answers is given up", () => {
  clock.pass(10_000);
  assert.ok(socket().closed);
  assert.equal(connection.state, "waiting");
});

test("a restart is acknowledged, and the server gets the time it asked for", () => {
  socket().welcomes(restore());
  socket().says({ type: "server_restart", reconnect_after_ms: 3_000 });
  assert.deepEqual(socket().sent.at(-1), { type: "restart_ack" });
  socket().breaks(1012);
  const waited_ms = wait_for_next_attempt();
  assert.ok(waited_ms >= 3_000 && waited_ms <= 4_500, `waited ${waited_ms} ms`);
});

test("a session that another connection took over is not fought for", () => {
  socket().welcomes(restore());
  socket().breaks(4000);
  clock.pass(120_000);
  assert.equal(ScriptedSocket.opened.length, 1);
  assert.equal(connection.state, "closed");
});

test("a refused hello ends with the reason instead of a loop", () => {
  socket().onopen({});
  socket().says({ type: "error", code: "bad_user", message: "The name is too long: choose a shorter one." });
  clock.pass(120_000);
  assert.equal(ScriptedSocket.opened.length, 1);
  assert.equal(seen("state").at(-1).reason, "The name is too long: choose a shorter one.");
});

test("silence is answered by a ping, and silence after that by a new connection", () => {
  socket().welcomes(restore());
  clock.pass(25_000);
  assert.deepEqual(socket().sent.at(-1), { type: "ping" });
  socket().says({ type: "pong" });
  clock.pass(24_999);
  assert.equal(connection.state, "live");
  clock.pass(10_001);
  assert.equal(connection.state, "waiting");
});

test("a message over the rate is sent again later, one the server refuses is given back", () => {
  socket().welcomes(restore());
  const { ref } = connection.send("r", "quick");
  socket().says({ type: "error", code: "rate_limited", message: "Too fast: slow down.", ref });
  assert.deepEqual(seen("refused"), []);
  clock.pass(1_000);
  assert.equal(socket().sent.filter((frame) => frame.ref === ref).length, 2);
  socket().says({ type: "error", code: "message_too_large", message: "Too large.", ref });
  assert.deepEqual(seen("refused"), [{ type: "refused", ref, reason: "Too large." }]);
});

test("the queue of unsent messages has an end", () => {
  for (let count = 0; count < UNSENT_MAX; count++) assert.ok(connection.send("r", "x"));
  assert.equal(connection.send("r", "one too many"), null);
});

test("frames that make no sense harm nobody", () => {
  socket().welcomes(restore());
  socket().onmessage({ data: "{" });
  socket().onmessage({ data: new Blob([]) });
  socket().says(null, 7, "text", [], {}, { type: "toString" }, { type: "__proto__" }, { type: "later_invention" }, message(9));
  assert.deepEqual(seen("message").map(({ message: { id } }) => id), [9]);
});
