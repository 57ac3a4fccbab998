// The JavaScript client where only a browser has it: in a worker, and on a page that hears of the network, is looked at again, or slept.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium } from "./browser.mjs";
import { ClientPage, open_context } from "./javascript_browser.mjs";
import { Server } from "./server.mjs";
import { until } from "./wait.mjs";

/** A pause that no test waits for: who is back within its deadline did not wait either. */
const lengths = { first_ms: 600_000, longest_ms: 600_000, least_ms: 600_000 };

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

/** A page whose client waits for much longer than the test, with a server that is there again. */
async function open_waiting(t, share) {
  const server = await Server.start(t);
  const context = await open_context(t, browser, server.url);
  const tab = await ClientPage.open(context, server.url, { transports: ["websocket"], share, lengths });
  await tab.is_live();
  await server.kill();
  await tab.until("it waits", ({ state }) => state === "waiting");
  await Server.start(t, { port: server.port });
  assert.equal((await tab.look()).state, "waiting");
  return { tab, context };
}

for (const share of [false, "us"]) {
  const name = share === false ? "alone" : "shared";

  test(`when the system says that it is online again, the pause ends: ${name}`, async (t) => {
    const { tab, context } = await open_waiting(t, share);
    await context.setOffline(true);
    assert.equal((await tab.look()).state, "waiting");
    await context.setOffline(false);
    await tab.is_live();
  });

  test(`when the page is looked at again, the pause ends: ${name}`, async (t) => {
    const { tab } = await open_waiting(t, share);
    await tab.hears("visibilitychange");
    await tab.is_live();
  });
}

test("when a page slept and wakes up, the pause ends", async (t) => {
  const server = await Server.start(t);
  const context = await open_context(t, browser, server.url);
  const tab = await ClientPage.open(context, server.url, { transports: ["websocket"], share: false, clock: true, lengths });
  await tab.is_live();
  await server.kill();
  await tab.until("it waits", ({ state }) => state === "waiting");
  await Server.start(t, { port: server.port });
  // As if a lid was closed for a minute: what was due meanwhile happens once, and late.
  await tab.page.clock.fastForward(60_000);
  await tab.is_live();
});

test("a tab in front tells the one that has the connection that the network is back", async (t) => {
  const { tab, context } = await open_waiting(t, "us");
  const other = await ClientPage.open(context, new URL(tab.page.url()).origin, { transports: ["websocket"], share: "us", lengths });
  await other.until("it waits as well", ({ role, state }) => role === "follower" && state === "waiting");
  await other.hears("visibilitychange");
  for (const each of [tab, other]) await each.is_live();
});

test("a dedicated worker has a client like any page, and shares with the page's", async (t) => {
  const server = await Server.start(t);
  const context = await open_context(t, browser, server.url);
  const tab = await ClientPage.open(context, server.url);
  await tab.is_live();
  await tab.page.evaluate(() => {
    const worker = (globalThis.worker = new Worker("/test/worker.js", { type: "module" }));
    const waiting = new Map();
    let asked = 0;
    globalThis.in_worker = (name, argument) => new Promise((resolve) => worker.postMessage([waiting.set((asked += 1), resolve) && asked, name, argument]));
    return new Promise((resolve) => {
      waiting.set(0, resolve);
      worker.onmessage = ({ data: [id, answer] }) => waiting.get(id)(answer);
    });
  });
  const ask = (name, argument) => tab.page.evaluate(([name, argument]) => globalThis.in_worker(name, argument), [name, argument]);
  await ask("begin", { room: "news", user: "ana" });
  await until("it is live", () => ask("look"), ({ role, state }) => role === "follower" && state === "live");
  await ask("say_it", "from a worker");
  await until("it is acknowledged and comes back", () => ask("look"), ({ acks, messages }) => acks.length === 1 && messages.length === 1);
  await tab.until("the page has it too", ({ messages }) => messages.length === 1);
  await tab.page.evaluate(() => globalThis.client.close());
  await until("the worker has the connection", () => ask("look"), ({ role, state }) => role === "leader" && state === "live");
  const alone = await ask("begin", { room: "news", user: "ben", share: false });
  assert.equal(alone, undefined);
  await until("a client of its own is live", () => ask("look"), ({ role, state }) => role === "alone" && state === "live");
});
