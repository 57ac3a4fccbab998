// The textbook's readers: its client class as printed (textbook/websocket_client.js, not a letter changed), its frames and
// its requests, against this server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { start_chromium } from "./browser.mjs";
import { curl } from "./curl.mjs";
import { Peer } from "./peer.mjs";
import { load } from "./places.mjs";
import { Server } from "./server.mjs";

const WebSocket = load("ws");
const printed = readFileSync(new URL("textbook/websocket_client.js", import.meta.url), "utf8");

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

async function enter(t, server, path) {
  const peer = new Peer(t, new WebSocket(server.websocket_url + path));
  await peer.opened();
  return peer;
}

test("the printed WebSocketClient chats, and comes back after a restart of the server", async (t) => {
  const server = await Server.start(t);
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.evaluate(`${printed}; window.client = new WebSocketClient("${server.websocket_url}/ws/class/reader"); 0`);
  const is_open = () => page.waitForFunction("client.ws.readyState === WebSocket.OPEN", null, { timeout: 20_000 });
  await is_open();

  const teacher = await enter(t, server, "/ws/class/teacher");
  await teacher.receives("session");
  await page.evaluate(`client.send({ type: "message", text: "page 958" })`);
  assert.equal((await teacher.receives("message", { text: "page 958" })).user_id, "reader");

  await server.kill();
  await page.waitForFunction("client.ws.readyState === WebSocket.CLOSED", null, { timeout: 20_000 });
  const again = await Server.start(t, { port: server.port });
  await is_open();
  const teacher_again = await enter(t, again, "/ws/class/teacher");
  await teacher_again.receives("session");
  await page.evaluate(`client.send({ type: "message", text: "back again" })`);
  await teacher_again.receives("message", { text: "back again", user_id: "reader" });
});

test("plain text in a room reaches everybody in it, the sender too, and nobody elsewhere", async (t) => {
  const server = await Server.start(t);
  const [ana, ben, elsewhere] = [await enter(t, server, "/ws/one"), await enter(t, server, "/ws/one"), await enter(t, server, "/ws/two")];
  for (const peer of [ana, ben, elsewhere]) await peer.receives("session");
  ana.send("Hello");
  await ana.receives("message", { text: "Hello", room: "one" });
  await ben.receives("message", { text: "Hello", room: "one" });
  elsewhere.send({ type: "ping" });
  await elsewhere.receives("pong");
  assert.deepEqual(elsewhere.rest, []);
});

test("a guest on /ws is in the lobby and hears nothing before somebody speaks", async (t) => {
  const server = await Server.start(t);
  const guest = await enter(t, server, "/ws");
  const other = await enter(t, server, "/ws/lobby/other");
  await other.receives("session");
  guest.send("data");
  await other.receives("message", { text: "data", room: "lobby" });
  await guest.receives("message", { text: "data" });
  assert.deepEqual(guest.rest, [], "the first frame a guest gets is the message");
});

test("the session recovery of the textbook: first user_id, then session_id with last_message_id", async (t) => {
  const server = await Server.start(t);
  const first = await enter(t, server, "/ws");
  first.send({ user_id: "ana" });
  const { session_id } = await first.receives("session");
  first.send("seen");
  const { id } = await first.receives("message", { text: "seen" });
  first.socket.close();
  await first.closed();
  await curl("-X", "POST", `${server.url}/broadcast?message=missed`);

  const again = await enter(t, server, "/ws");
  again.send({ session_id, last_message_id: id });
  assert.equal((await again.receives("session")).session_id, session_id);
  const { messages } = await again.receives("restore");
  assert.deepEqual(messages.map(({ text }) => text), ["missed"]);
});

test("the session recovery of the textbook after the server was killed says that something is lost, and goes on", async (t) => {
  const server = await Server.start(t);
  const first = await enter(t, server, "/ws");
  first.send({ user_id: "ana" });
  const { session_id } = await first.receives("session");
  first.send("before the crash");
  const { id } = await first.receives("message");
  await server.kill();

  const after = await Server.start(t, { port: server.port });
  const again = await enter(t, after, "/ws");
  again.send({ session_id, last_message_id: id });
  assert.equal((await again.receives("session")).resumed, false);
  const restored = await again.receives("restore");
  assert.deepEqual([restored.messages, restored.recovered], [[], false]);
  assert.equal((await again.receives("gap")).after, id);
  again.send("after the crash");
  assert.ok((await again.receives("message")).id > id, "no id is used again");
});
