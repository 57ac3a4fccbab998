// A client that stops reading: it delays nobody, and when it reads again it has everything, or is told what it lacks, as the
// rules of its room promise.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Peer } from "./peer.mjs";
import { load } from "./places.mjs";
import { Server } from "./server.mjs";

const WebSocket = load("ws");

// Together more than outbox and kernel hold for one connection.
const MESSAGES = 1_500;
const FILLING = "x".repeat(16 * 1024);
// No more at once than a reader's outbox takes, so that the one who listens never falls behind.
const AT_ONCE = 10;
const CURRENCIES = ["eur", "usd", "gbp"];

async function enter(t, server, user, query = "") {
  const peer = new Peer(t, new WebSocket(`${server.websocket_url}/ws/flood/${user}${query}`, { perMessageDeflate: false }));
  await peer.receives("session");
  return peer;
}

/** One stops reading, one speaks, one listens; gives them, and the ids, once the listener has everything. */
async function flood(t, { history_messages, slow_consumer = "catch_up", at_once = AT_ONCE }) {
  const settings = `
    [limits]
    messages_per_second_max = 0
    # Whoever is sent away in its sleep shall read why.
    close_timeout_ms = 3_600_000
    # All that was missed is judged at once.
    history_page_messages_max = 2_000
    [[room]]
    pattern = "flood"
    slow_consumer = "${slow_consumer}"
    history_messages = ${history_messages}
    history_bytes = 100_000_000
  `;
  const server = await Server.start(t, { settings });
  const [speaker, listener, sleeper] = [await enter(t, server, "speaker"), await enter(t, server, "listener"), await enter(t, server, "sleeper")];
  const ids = [];
  sleeper.socket.pause();
  for (let first = 0; first < MESSAGES; first += at_once) {
    const numbers = Array.from({ length: at_once }, (_, index) => first + index);
    for (const number of numbers) speaker.send({ type: "message", key: CURRENCIES[number % CURRENCIES.length], data: { number, FILLING } });
    for (const number of numbers) {
      const { id, data } = await listener.receives("message");
      assert.equal(data.number, number);
      ids.push(id);
    }
  }
  return { server, speaker, listener, sleeper, ids };
}

/** Says one more message, which comes after all that is read late; gives its id. */
async function say_one_more({ speaker }) {
  speaker.send({ type: "message", key: CURRENCIES[0], text: "one more", ref: "more" });
  return (await speaker.receives("ack")).id;
}

/** Whether a frame is about people: who comes and goes is told too, and is not the matter here. */
const is_of_people = ({ type }) => type.startsWith("user_");

/** What a peer receives up to the frame with this field, in its order. */
async function received_until(peer, field) {
  const [[name, value]] = Object.entries(field);
  const frames = [];
  do frames.push(await peer.next());
  while (frames.at(-1)[name] !== value);
  return frames;
}

/** Sorts what was received into messages and gaps; nothing else may have come. */
function sorted(all) {
  const frames = all.filter((frame) => !is_of_people(frame));
  const of_type = (wanted) => frames.filter(({ type }) => type === wanted);
  const [messages, gaps] = [of_type("message"), of_type("gap")];
  assert.equal(messages.length + gaps.length, frames.length);
  return { received: messages.map(({ id }) => id), gaps };
}

/** Every message was either received, in order, or named by a gap. */
function is_all_accounted_for({ received, gaps }, ids) {
  const lost = ids.filter((id) => gaps.some(({ after, before }) => after < id && id < before));
  assert.deepEqual(received, ids.filter((id) => !lost.includes(id)));
}

async function is_told_no_more(peer) {
  peer.send({ type: "ping" });
  const frames = await received_until(peer, { type: "pong" });
  assert.deepEqual(frames.filter((frame) => !is_of_people(frame)), [{ type: "pong" }]);
}

test("who reads again after a pause has every message, in order, once", async (t) => {
  const { sleeper, ids } = await flood(t, { history_messages: 2_000 });
  sleeper.socket.resume();
  const { received, gaps } = sorted(await received_until(sleeper, { id: ids.at(-1) }));
  assert.deepEqual(received, ids);
  assert.deepEqual(gaps, []);
  await is_told_no_more(sleeper);
});

test("who slept longer than the room remembers is told the gap, and nothing but the gap is missing", async (t) => {
  const { sleeper, ids } = await flood(t, { history_messages: 20 });
  sleeper.socket.resume();
  const { received, gaps } = sorted(await received_until(sleeper, { id: ids.at(-1) }));
  assert.ok(gaps.length > 0 && gaps.every(({ reason }) => reason === "expired"), JSON.stringify(gaps));
  is_all_accounted_for({ received, gaps }, ids);
  await is_told_no_more(sleeper);
});

test("in a room that keeps the latest, who reads again gets the newest of each key, and nothing is called lost", async (t) => {
  // One at a time: even the listener would be spared what is outdated before it is sent.
  const room = await flood(t, { slow_consumer: "latest", history_messages: 2_000, at_once: 1 });
  const { sleeper, ids } = room;
  const more = await say_one_more(room);
  sleeper.socket.resume();
  const { received, gaps } = sorted(await received_until(sleeper, { id: more }));
  assert.deepEqual(gaps, []);
  assert.deepEqual(received, [...received].sort((a, b) => a - b));
  assert.ok(received.length < ids.length / 2, `${received.length} messages are not the latest only`);
  // The one that is more replaces the newest "eur".
  assert.deepEqual(received.slice(-3), [...ids.slice(-2), more]);
  await is_told_no_more(sleeper);
});

test("in a room that drops, who reads again is told what was dropped, and nothing else is missing", async (t) => {
  const room = await flood(t, { slow_consumer: "drop", history_messages: 2_000 });
  const { sleeper, ids } = room;
  sleeper.socket.resume();
  // The kernel may have taken some more in the middle of the pause, so that there were two stretches of loss.
  const frames = await received_until(sleeper, { before: ids.at(-1) + 1 });
  const more = await say_one_more(room);
  frames.push(...(await received_until(sleeper, { id: more })));
  const { received, gaps } = sorted(frames);
  assert.ok(gaps.every(({ reason }) => reason === "overflow"), JSON.stringify(gaps));
  is_all_accounted_for({ received, gaps }, [...ids, more]);
  await is_told_no_more(sleeper);
});

test("in a room that closes, who reads too slowly is sent away with 1013 and has the rest when it comes back", async (t) => {
  const { server, sleeper, listener, ids } = await flood(t, { slow_consumer: "close", history_messages: 2_000 });
  sleeper.socket.resume();
  const { code, reason } = await sleeper.closed();
  assert.equal(code, 1013, reason);
  const before = sorted(sleeper.rest);
  assert.ok(before.received.length < ids.length, "it was closed before it had everything");

  const back = await enter(t, server, "sleeper", `?last_message_id=${before.received.at(-1)}`);
  const restore = await back.receives("restore", { recovered: true });
  const after = sorted([...restore.messages, ...(await received_until(back, { id: ids.at(-1) }))]);
  assert.deepEqual([...before.received, ...after.received], ids);
  assert.deepEqual([...before.gaps, ...after.gaps], []);
  await is_told_no_more(back);
  await is_told_no_more(listener);
});
