// The JavaScript client in Node.js against the real server, with what lies between: a cable that is cut, and an nginx that holds
// back what it should pass on, or does not know what a WebSocket is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Cable } from "./cable.mjs";
import { is, open_client, open_room } from "./javascript_client.mjs";
import { start_nginx } from "./nginx.mjs";
import { load } from "./places.mjs";
import { Server } from "./server.mjs";
import { until } from "./wait.mjs";

const CUTS = 3;
const MESSAGES_PER_CUT = 5;

/** Pauses that a test can wait for; what they are usually the vectors check. */
const lengths = { first_ms: 100, longest_ms: 400, least_ms: 10, stable_ms: 1 };

async function publish(server, room, text) {
  const response = await fetch(`${server.url}/rooms/${room}/messages`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text }),
  });
  assert.equal(response.status, 200);
}

for (const transport of ["websocket", "sse", "poll"]) {
  test(`whoever is cut off again and again gets every message once, and sends each once: ${transport}`, async (t) => {
    const server = await Server.start(t);
    const cable = await Cable.lay(t, server.port);
    const client = open_client(t, cable.url, { transports: [transport], user: "ana", lengths });
    const room = open_room(client, "news");
    const quiet = open_room(client, "quiet");
    await room.send("first");
    const wanted = ["first"];
    for (let cut = 0; cut < CUTS; cut += 1) {
      cable.tear();
      // What was just being connected comes to nowhere, and would be waited for.
      const again = setInterval(() => cable.tear(), 20);
      await client.states.take("the loss is told", is("waiting")).finally(() => clearInterval(again));
      const sent = room.send(`own ${cut}`);
      for (let n = 0; n < MESSAGES_PER_CUT; n += 1) await publish(server, "news", `other ${cut} ${n}`);
      wanted.push(`own ${cut}`, ...Array.from({ length: MESSAGES_PER_CUT }, (_, n) => `other ${cut} ${n}`));
      cable.mend();
      await sent;
    }
    await publish(server, "quiet", "last");
    await until("the last message comes", () => new Promise((resolve) => setTimeout(resolve, 10, quiet.messages.length)));
    await until("all came", () => new Promise((resolve) => setTimeout(resolve, 10, room.messages.length >= wanted.length)));
    assert.deepEqual(room.messages.map(({ text }) => text).sort(), wanted.sort());
    const ids = room.messages.map(({ id }) => id);
    assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
    assert.deepEqual(room.gaps, []);
  });
}

for (const transport of ["websocket", "sse", "poll"]) {
  test(`whoever rehearses a restart comes back with its session, and what it sends meanwhile is stored once: ${transport}`, async (t) => {
    const server = await Server.start(t, { flags: ["--reconnect-after-ms", "50"] });
    const client = open_client(t, server.url, { transports: [transport], user: "ana", lengths });
    const sessions = [];
    client.on("session", ({ session_id, resumed }) => sessions.push({ session_id, resumed }));
    const room = open_room(client, "news");
    await room.send("before");
    const rehearse = () => fetch(`${server.url}/sessions/${sessions[0].session_id}/send`, { method: "POST", body: '{"type":"rehearse_restart"}' });
    // Between two polls there is nobody to tell.
    let is_told = false;
    client.on("restart", () => (is_told = true));
    await until("it is told of a restart", () => rehearse().then(() => sleep(50)).then(() => is_told));
    await client.states.take("the connection ends", is("waiting"));
    await publish(server, "news", "missed");
    await room.send("after");
    await until("all came", () => sleep(10).then(() => room.messages.length === 3));
    assert.deepEqual(room.messages.map(({ text }) => text), ["before", "missed", "after"]);
    assert.deepEqual([sessions.at(-1), room.gaps], [{ session_id: sessions[0].session_id, resumed: true }, []]);
  });
}

test("rooms answer questions, and tell who types and who comes", async (t) => {
  const server = await Server.start(t);
  const ana = open_client(t, server.url, { user: "ana" });
  const room = open_room(ana, "news");
  const told = [];
  room.on("typing", ({ user, typing }) => told.push(`${user} ${typing ? "types" : "ceased"}`));
  room.on("presence", ({ joined }) => told.push(...joined.map((user) => `${user} came`)));
  const id = await room.send({ price: 3 });
  const ben = open_client(t, server.url, { user: "ben" });
  const his = open_room(ben, "news", { after: 0 });
  await until("ben has what was before", () => new Promise((resolve) => setTimeout(resolve, 10, his.messages.length)));
  assert.deepEqual(his.messages.map(({ id, data, user }) => ({ id, data, user })), [{ id, data: { price: 3 }, user: "ana" }]);
  for (let key = 0; key < 10; key += 1) his.typing();
  his.stop_typing();
  await until("ana was told", () => new Promise((resolve) => setTimeout(resolve, 10, told.length === 3)));
  assert.deepEqual(told, ["ben came", "ben types", "ben ceased"]);
  assert.deepEqual((await room.presence()).users.map(({ user_id }) => user_id), ["ana", "ben"]);
  const { messages, complete } = await room.history();
  assert.deepEqual([messages.map(({ id }) => id), complete], [[id], true]);
});

test("a room is read with a loop, and the loop ends with the room", async (t) => {
  const server = await Server.start(t);
  const client = open_client(t, server.url);
  const room = client.room("news");
  const read = [];
  const reading = (async () => {
    for await (const { text } of room) {
      read.push(text);
      if (text === "two") room.leave();
    }
  })();
  await room.send("one");
  await room.send("two");
  await reading;
  assert.deepEqual(read, ["one", "two"]);
});

test("a refusal is told with its code, and the client goes on", async (t) => {
  const server = await Server.start(t, { flags: ["--message-bytes-max", "4096"] });
  const client = open_client(t, server.url, { transports: ["sse"] });
  const room = client.room("news");
  await assert.rejects(room.send("x".repeat(8_000)), { name: "TidingsError", code: "message_too_large" });
  assert.ok((await room.send("short")) > 0);
});

test("a server that restarts is come back to when it said, and what was sent meanwhile is there once", async (t) => {
  const server = await Server.start(t);
  const client = open_client(t, server.url, { user: "ana", lengths });
  const room = open_room(client, "news");
  await room.send("before");
  const stopped = server.stop();
  await client.states.take("the loss is told", is("waiting"));
  const sent = room.send("meanwhile");
  assert.equal(await stopped, 0);
  await Server.start(t, { port: server.port });
  await sent;
  assert.deepEqual(room.messages.map(({ text }) => text).filter((text) => text === "meanwhile"), ["meanwhile"]);
});

const held_back = (port) => `
  server {
    listen LISTEN;
    # All that is needed to make a stream useless: its bytes wait until a buffer is full.
    location / {
      proxy_pass http://127.0.0.1:${port};
      proxy_buffering on;
      proxy_ignore_headers X-Accel-Buffering;
      proxy_buffers 8 32k;
    }
  }`;

test("a proxy without WebSockets that holds streams back: the client ends up with long polls, and misses nothing", async (t) => {
  const server = await Server.start(t);
  const proxy = await start_nginx(t, held_back(server.port));
  const client = open_client(t, proxy, { user: "ana", lengths: { ...lengths, probe_ms: 1_000 } });
  const room = open_room(client, "news");
  const id = await room.send("hello");
  const tried = client.states.rest.filter(({ state }) => state === "connecting").map(({ transport }) => transport);
  assert.deepEqual(tried, ["websocket", "sse", "poll"]);
  await until("the message comes back", () => new Promise((resolve) => setTimeout(resolve, 10, room.messages.length)));
  assert.deepEqual(room.messages.map(({ id }) => id), [id]);
});

test("whoever has a lower transport climbs up again, and misses nothing on the way", async (t) => {
  const server = await Server.start(t);
  const client = open_client(t, server.url, { transports: ["websocket", "sse", "poll"], user: "ana", lengths: { ...lengths, climb_ms: 200 }, WebSocket: flaky_once() });
  const room = open_room(client, "news", { after: 0 });
  await client.states.take("it lives on a stream", is("live", "sse"));
  const sending = (async () => {
    for (let n = 0; n < 20; n += 1) await room.send(`${n}`);
  })();
  await client.states.take("it lives on a WebSocket", is("live", "websocket"));
  await sending;
  await until("all came", () => new Promise((resolve) => setTimeout(resolve, 10, room.messages.length >= 20)));
  assert.deepEqual(room.messages.map(({ text }) => text), Array.from({ length: 20 }, (_, n) => `${n}`));
});

test("a token is asked for before connecting and again before it expires, and the connection stays", async (t) => {
  const server = await Server.start(t);
  let asked = 0;
  const token = () => {
    asked += 1;
    const claims = { sub: "ana", exp: Math.floor(Date.now() / 1_000) + 2 };
    return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
  };
  const client = open_client(t, server.url, { token });
  const room = client.room("news");
  await room.send("hello");
  await until("it was asked for again", () => new Promise((resolve) => setTimeout(resolve, 10, asked >= 2)));
  await room.send("still here");
  assert.deepEqual(client.states.rest.map(({ state }) => state), ["connecting", "live"]);
});

/** A WebSocket class whose first connection fails. */
function flaky_once() {
  const Real = load("ws");
  let opened = 0;
  return class extends Real {
    constructor(url) {
      opened += 1;
      super(opened === 1 ? "ws://127.0.0.1:1/" : url);
    }
  };
}
