// Who is there, who types, and messages to a person, by curl; and what a page of another origin may read.

import assert from "node:assert/strict";
import { test } from "node:test";

import { curl, CurlStream } from "./curl.mjs";
import { Peer } from "./peer.mjs";
import { load } from "./places.mjs";
import { Server } from "./server.mjs";
import { until } from "./wait.mjs";

const WebSocket = load("ws");
const JSON_TYPE = "content-type: application/json";

async function enter(t, server, path) {
  const peer = new Peer(t, new WebSocket(server.websocket_url + path));
  await peer.receives("session");
  return peer;
}

test("presence counts a user's connections of every kind, once each", async (t) => {
  const server = await Server.start(t, { flags: ["--presence-grace-ms", "0"] });
  const ana = await enter(t, server, "/ws/yard/ana");
  await enter(t, server, "/ws/yard/ben");
  await ana.receives("user_joined", { user_id: "ben" });
  const stream = new CurlStream(t, `${server.url}/events?room=yard&user_id=ben`);
  await stream.event("joined");

  const users = [{ user_id: "ana", connections: 1 }, { user_id: "ben", connections: 2 }];
  const { body } = await curl(`${server.url}/rooms/yard/presence`);
  assert.deepEqual(body, { room: "yard", users, total: 2, complete: true });
  const page = await curl(`${server.url}/rooms/yard/presence?after=ana&limit=1`);
  assert.deepEqual(page.body.users, users.slice(1));
  const asked = await curl(`${server.url}/presence?user=ana&user=eva&user=ben`);
  assert.deepEqual(asked.body.online.sort(), ["ana", "ben"]);

  ana.socket.close();
  assert.deepEqual((await stream.event("user_left")).data, { type: "user_left", room: "yard", user_id: "ana" });
  const left = await curl(`${server.url}/rooms/yard/presence`);
  assert.deepEqual(left.body.users, users.slice(1));
});

test("who types is listed until they speak", async (t) => {
  const server = await Server.start(t);
  const ana = await enter(t, server, "/ws/yard/ana");
  const stream = new CurlStream(t, `${server.url}/events?room=yard&user_id=ben`);
  await stream.event("joined");
  const typing = async () => (await curl(`${server.url}/rooms/yard/typing`)).body.users;
  assert.deepEqual(await typing(), []);
  ana.send({ type: "typing_start" });
  assert.deepEqual((await stream.event("user_typing")).data, { type: "user_typing", room: "yard", user_id: "ana" });
  assert.deepEqual(await typing(), ["ana"]);
  ana.send({ type: "message", text: "done" });
  await stream.event("user_stopped_typing");
  await until("nobody types", typing, (users) => users.length === 0);
});

test("a message to a user reaches all of its sessions, and nobody else", async (t) => {
  const server = await Server.start(t);
  const socket = await enter(t, server, "/ws/yard/ana");
  const stream = new CurlStream(t, `${server.url}/events?room=porch&user_id=ana`);
  await stream.event("joined");
  const ben = await enter(t, server, "/ws/yard/ben");
  const sent = await curl("-H", JSON_TYPE, "-d", '{"text":"Your parcel is here"}', `${server.url}/users/ana/messages`);
  assert.equal(sent.status, 200);
  await socket.receives("message", { room: "@ana", id: sent.body.id });
  assert.equal((await stream.event("message")).data.id, sent.body.id);
  ben.send({ type: "ping" });
  await ben.receives("pong");
  assert.ok(!ben.rest.some(({ type }) => type === "message"), JSON.stringify(ben.rest));

  await curl("-X", "DELETE", `${server.url}/users/ana/sessions`);
  assert.equal((await socket.closed()).code, 1008);
});

test("pages of an allowed origin may ask and read, others may not", async (t) => {
  const server = await Server.start(t, { flags: ["--allowed-origin", "https://shop.example"] });
  const ask = (origin, method, path) =>
    curl("-X", "OPTIONS", "-H", `Origin: ${origin}`, "-H", `Access-Control-Request-Method: ${method}`, "-H", "Access-Control-Request-Headers: content-type,last-event-id", server.url + path);
  for (const [method, path] of [["POST", "/rooms/yard/messages"], ["GET", "/events"], ["GET", "/poll/me"], ["POST", `/sessions/${"0".repeat(32)}/send`]]) {
    const { status, headers } = await ask("https://shop.example", method, path);
    assert.equal(status, 204, path);
    assert.equal(headers["access-control-allow-origin"], "https://shop.example", path);
    assert.match(headers["access-control-allow-methods"], new RegExp(`\\b${method}\\b`), path);
    assert.match(headers["access-control-allow-headers"].toLowerCase(), /content-type.*last-event-id/, path);
    const stranger = await ask("https://elsewhere.example", method, path);
    assert.equal(stranger.headers["access-control-allow-origin"], undefined, path);
  }
  const answer = await curl("-H", "Origin: https://shop.example", `${server.url}/poll/me?timeout_s=0`);
  assert.equal(answer.headers["access-control-allow-origin"], "https://shop.example");
});

test("people and rooms are served over HTTP/2 without TLS too", async (t) => {
  const server = await Server.start(t);
  await enter(t, server, "/ws/yard/ana");
  const h2 = (...words) => curl("--http2-prior-knowledge", ...words);
  const { body } = await h2("-H", JSON_TYPE, "-d", '{"text":"over HTTP/2"}', `${server.url}/rooms/yard/messages`);
  const history = await h2(`${server.url}/rooms/yard/messages?after=0`);
  assert.deepEqual(history.body.messages.map(({ id }) => id), [body.id]);
  assert.deepEqual((await h2(`${server.url}/rooms/yard/presence`)).body.users, [{ user_id: "ana", connections: 1 }]);
  assert.deepEqual((await h2(`${server.url}/presence?user=ana`)).body, { online: ["ana"] });
});
