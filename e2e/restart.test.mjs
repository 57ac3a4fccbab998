// What the page says when the server goes away: killed like a crash, or stopped like a deploy.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium, Tab } from "./browser.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

test("a crash of the server is not hushed up: the page comes back and names what may be lost", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "dock", name: "ana" });
  await ana.say("before the crash");
  await ana.has_sent_all();
  await server.kill();
  await ana.is("waiting");
  await ana.say("typed while it was down");

  await Server.start(t, { port: server.port });
  await ana.is("live");
  await ana.is_told("gap", "may be lost");
  await ana.sees("typed while it was down");
  await ana.has_sent_all();
  const messages = await ana.messages();
  assert.deepEqual(messages.map(({ text }) => text), ["before the crash", "typed while it was down"]);
  assert.ok(messages[0].id < messages[1].id, "no id is used again after the crash");
  await ana.picture("crash");
});

test("a server that stops says so, waits for the answer, and ends with 0", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "dock", name: "ana" });
  const code = await server.stop("SIGTERM");
  assert.equal(code, 0);
  await ana.is_told("note", "The server is restarting.");
  await ana.is("waiting", "connecting");
  await Server.start(t, { port: server.port });
  await ana.is("live");
});
