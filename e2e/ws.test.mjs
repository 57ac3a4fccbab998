// The npm package `ws`, the WebSocket client that most of the JavaScript world uses, with and without compression.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Peer } from "./peer.mjs";
import { load } from "./places.mjs";
import { Server } from "./server.mjs";
import { soon } from "./wait.mjs";

const WebSocket = load("ws");

async function enter(t, server, path, options = {}) {
  const peer = new Peer(t, new WebSocket(server.websocket_url + path, options));
  await peer.opened();
  return peer;
}

for (const compression of [false, true]) {
  const how = compression ? "with compression" : "without compression";
  // ws compresses only what is longer than its threshold; here everything.
  const options = { perMessageDeflate: compression && { threshold: 0 } };

  test(`chat, data and long texts travel ${how}`, async (t) => {
    const server = await Server.start(t);
    const ana = await enter(t, server, "/ws/yard/ana", options);
    const ben = await enter(t, server, "/ws/yard/ben", options);
    assert.equal(ana.socket.extensions.includes("permessage-deflate"), compression);
    await ben.receives("session", { user_id: "ben" });

    const long = "Ærøskøbing ⛵ ".repeat(2_000);
    const contents = [{ text: "short" }, { text: "" }, { text: long }, { data: { price: 1.5, tags: ["a", null] } }];
    for (const [index, content] of contents.entries()) {
      ana.send({ type: "message", ref: `m${index}`, ...content });
      const { id } = await ana.receives("ack", { ref: `m${index}` });
      const message = await ben.receives("message", { id });
      assert.equal(message.user_id, "ana");
      assert.deepEqual(message.text ?? message.data, content.text ?? content.data);
    }
  });

  test(`a burst arrives whole and in order ${how}`, async (t) => {
    const server = await Server.start(t, { flags: ["--messages-per-second-max", "0"] });
    const ana = await enter(t, server, "/ws/burst/ana", options);
    const ben = await enter(t, server, "/ws/burst/ben", options);
    await ben.receives("session");
    for (let number = 0; number < 1_000; number++) ana.send(`number ${number}`);
    let last_id = 0;
    for (let number = 0; number < 1_000; number++) {
      const { text, id } = await ben.receives("message");
      assert.equal(text, `number ${number}`);
      assert.ok(id > last_id);
      last_id = id;
    }
  });
}

test("a message in fragments is one message", async (t) => {
  const server = await Server.start(t);
  const ana = await enter(t, server, "/ws/pieces/ana");
  for (const [piece, fin] of [["in ", false], ["three ", false], ["pieces", true]]) ana.socket.send(piece, { fin });
  await ana.receives("message", { text: "in three pieces" });
});

test("a binary frame reaches a JSON client as base64", async (t) => {
  const server = await Server.start(t);
  const ana = await enter(t, server, "/ws/bytes/ana");
  const bytes = Buffer.from([0, 1, 2, 253, 254, 255]);
  ana.send(bytes);
  const { data_base64 } = await ana.receives("message");
  assert.deepEqual(Buffer.from(data_base64, "base64"), bytes);
});

test("a ping is answered with its own bytes", async (t) => {
  const server = await Server.start(t);
  const ana = await enter(t, server, "/ws/echo-room/ana");
  const pong = new Promise((resolve) => ana.socket.once("pong", resolve));
  ana.socket.ping("are you there?");
  assert.equal(String(await pong), "are you there?");
});

test("a message that is too large closes the connection with 1009, and only that one", async (t) => {
  const server = await Server.start(t, { flags: ["--message-bytes-max", "1000"] });
  const ana = await enter(t, server, "/ws/narrow/ana");
  const ben = await enter(t, server, "/ws/narrow/ben");
  ana.send("x".repeat(5_000));
  assert.equal((await ana.closed()).code, 1009);
  ben.send("still here");
  await ben.receives("message", { text: "still here" });
});

test("the node over its limit says so with 1013, and serves again when someone leaves", async (t) => {
  const server = await Server.start(t, { flags: ["--connections-max", "1"] });
  const first = await enter(t, server, "/ws/full/first");
  const second = await enter(t, server, "/ws/full/second");
  assert.deepEqual(await second.closed(), { code: 1013, reason: "Server at capacity" });
  first.socket.close();
  await first.closed();
  // The server learns of the close a moment after the client does; until then it may still refuse.
  const try_again = async () => {
    const third = await enter(t, server, "/ws/full/third");
    const served = await Promise.race([third.receives("session"), third.closed().then(() => null)]);
    return served ?? try_again();
  };
  await soon("a place is free again", try_again());
});

test("a stopping server says so, and closes with 1012 after the answer", async (t) => {
  const server = await Server.start(t);
  const ana = await enter(t, server, "/ws/dock/ana");
  await ana.receives("session");
  const stopped = server.stop("SIGTERM");
  const { reconnect_after_ms } = await ana.receives("server_restart");
  assert.ok(reconnect_after_ms > 0);
  ana.send({ type: "restart_ack" });
  assert.equal((await ana.closed()).code, 1012);
  assert.equal(await stopped, 0);
});

test("frames that are wrong get an error, and the connection lives", async (t) => {
  const server = await Server.start(t);
  const ana = await enter(t, server, "/ws/errors/ana");
  ana.send({ type: "dance" });
  await ana.receives("error", { code: "unknown_type" });
  ana.send({ type: "message", text: 7 });
  await ana.receives("error", { code: "bad_frame" });
  ana.send({ type: "join", room: "x".repeat(10_000) });
  await ana.receives("error", { code: "bad_room" });
  ana.send({ type: "join", room: "" });
  await ana.receives("error", { code: "bad_room" });
  ana.send({ type: "ping" });
  await ana.receives("pong");
});
