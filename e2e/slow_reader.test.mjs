// A client that stops reading: it delays nobody, and when it reads again it has everything, or is told what it lacks.

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

async function enter(t, server, user) {
  const peer = new Peer(t, new WebSocket(`${server.websocket_url}/ws/flood/${user}`, { perMessageDeflate: false }));
  await peer.receives("session");
  return peer;
}

/** One stops reading, one speaks, one listens; gives them once the listener has everything. */
async function flood(t, flags) {
  const server = await Server.start(t, { flags: ["--messages-per-second-max", "0", "--room-history-bytes", "100000000", ...flags] });
  const [speaker, listener, sleeper] = [await enter(t, server, "speaker"), await enter(t, server, "listener"), await enter(t, server, "sleeper")];
  sleeper.socket.pause();
  for (let first = 0; first < MESSAGES; first += AT_ONCE) {
    const numbers = Array.from({ length: AT_ONCE }, (_, index) => first + index);
    for (const number of numbers) speaker.send({ type: "message", data: { number, FILLING } });
    for (const number of numbers) assert.equal((await listener.receives("message")).data.number, number);
  }
  sleeper.socket.resume();
  return sleeper;
}

test("who reads again after a pause has every message, in order, once", async (t) => {
  const sleeper = await flood(t, ["--room-history-messages", "2000"]);
  for (let number = 0; number < MESSAGES; number++) assert.equal((await sleeper.receives("message")).data.number, number);
  sleeper.send({ type: "ping" });
  await sleeper.receives("pong");
  assert.deepEqual(sleeper.rest, []);
});

test("who slept longer than the room remembers is told the gap, and nothing but the gap is missing", async (t) => {
  const sleeper = await flood(t, ["--room-history-messages", "20"]);
  const gap = await sleeper.receives("gap", { reason: "expired" });
  const ids = [];
  let number;
  do {
    const { id, data } = await sleeper.receives("message");
    ids.push(id);
    number = data.number;
  } while (number < MESSAGES - 1);
  assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.includes(gap.after) && ids.includes(gap.before), "the gap lies between two messages that were received");
  assert.deepEqual(ids.filter((id) => id > gap.after && id < gap.before), []);
});
