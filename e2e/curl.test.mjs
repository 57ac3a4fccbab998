// The HTTP side by curl: what a script or another backend does.

import assert from "node:assert/strict";
import { test } from "node:test";

import { curl } from "./curl.mjs";
import { Peer } from "./peer.mjs";
import { load } from "./places.mjs";
import { Server } from "./server.mjs";

const WebSocket = load("ws");
const JSON_TYPE = "content-type: application/json";

async function listen(t, server, room) {
  const peer = new Peer(t, new WebSocket(`${server.websocket_url}/ws/${room}/listener`));
  await peer.receives("session");
  return peer;
}

test("what is broadcast reaches the lobby, from the query and from JSON", async (t) => {
  const server = await Server.start(t);
  const lobby = await listen(t, server, "lobby");
  const query = await curl("-X", "POST", `${server.url}/broadcast?message=hello%20all`);
  assert.equal(query.status, 200);
  assert.equal(query.body.status, "sent");
  await lobby.receives("message", { text: "hello all", id: query.body.id });
  const json = await curl("-H", JSON_TYPE, "-d", '{"message":"again"}', `${server.url}/broadcast`);
  await lobby.receives("message", { text: "again", id: json.body.id });
});

test("a message posted to a room reaches its members and its history", async (t) => {
  const server = await Server.start(t);
  const member = await listen(t, server, "news");
  const { body: text } = await curl("-H", JSON_TYPE, "-d", '{"text":"from a script"}', `${server.url}/rooms/news/messages`);
  const { body: data } = await curl("-H", JSON_TYPE, "-d", '{"data":{"temperature":21.5}}', `${server.url}/rooms/news/messages`);
  const { body: bytes } = await curl("-H", "content-type: application/octet-stream", "-d", "raw", `${server.url}/rooms/news/messages`);
  await member.receives("message", { id: text.id, text: "from a script" });
  assert.deepEqual((await member.receives("message", { id: data.id })).data, { temperature: 21.5 });
  await member.receives("message", { id: bytes.id, data_base64: Buffer.from("raw").toString("base64") });

  const { body: history } = await curl(`${server.url}/rooms/news/messages?after=${text.id}`);
  assert.deepEqual(history.messages.map(({ id }) => id), [data.id, bytes.id]);
  assert.equal(history.complete, true);
  const { body: first } = await curl(`${server.url}/rooms/news/messages?after=0&limit=1`);
  assert.deepEqual(first.messages.map(({ id }) => id), [text.id]);
  assert.equal(first.complete, false);
});

test("a post that is repeated with its Idempotency-Key is stored once", async (t) => {
  const server = await Server.start(t);
  const post = () => curl("-H", JSON_TYPE, "-H", "Idempotency-Key: order-7", "-d", '{"text":"once"}', `${server.url}/rooms/orders/messages`);
  const [first, second] = [await post(), await post()];
  assert.equal(first.body.id, second.body.id);
  const { body } = await curl(`${server.url}/rooms/orders/messages?after=0`);
  assert.equal(body.messages.length, 1);
});

test("a room no one is in takes messages, and is listed", async (t) => {
  const server = await Server.start(t);
  const { status } = await curl("-H", JSON_TYPE, "-d", '{"text":"anyone?"}', `${server.url}/rooms/quiet/messages`);
  assert.equal(status, 200);
  const { body } = await curl(`${server.url}/rooms`);
  assert.ok(JSON.stringify(body).includes('"quiet"'), JSON.stringify(body));
});

test("health and metrics answer, and every answer names the node", async (t) => {
  const server = await Server.start(t, { flags: ["--node", "north"] });
  const health = await curl(`${server.url}/health`);
  assert.equal(health.status, 200);
  assert.equal(health.headers["tidings-node"], "north");
  const metrics = await curl(`${server.url}/metrics`);
  assert.match(metrics.body, /^tidings_\w+/m);
  assert.equal(metrics.headers["tidings-node"], "north");
});

test("the page comes with all its files, and none from elsewhere", async (t) => {
  const server = await Server.start(t);
  const page = await curl(`${server.url}/`);
  assert.equal(page.status, 200);
  assert.match(page.headers["content-type"], /^text\/html/);
  for (const file of page.body.matchAll(/(?:src|href)="([^"#]+)"/g)) {
    assert.doesNotMatch(file[1], /^(https?:)?\/\//);
    const { status } = await curl(`${server.url}/${file[1]}`);
    assert.equal(status, 200, file[1]);
  }
});

test("a request that is wrong gets the status and the reason", async (t) => {
  const server = await Server.start(t);
  const cases = [
    [404, "not_found", `${server.url}/nowhere`],
    [405, "method_not_allowed", "-X", "DELETE", `${server.url}/broadcast`],
    [400, "bad_room", "-H", JSON_TYPE, "-d", '{"text":"x"}', `${server.url}/rooms/${"x".repeat(10_000)}/messages`],
    [426, null, "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Sec-WebSocket-Version: 8", `${server.url}/ws`],
  ];
  for (const [status, code, ...words] of cases) {
    const answer = await curl(...words);
    assert.equal(answer.status, status, JSON.stringify(answer));
    if (code) assert.equal(answer.body.code, code);
    assert.ok(answer.body.message, "the answer says what happened");
  }
});
