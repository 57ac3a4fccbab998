// Tabs of one browser that share a connection, in Chromium against the real server: how many connections there are, and what each tab is
// told while others come, go, and stop.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium } from "./browser.mjs";
import { ClientPage, open_context } from "./javascript_browser.mjs";
import { Server } from "./server.mjs";
import { until } from "./wait.mjs";

const TRANSPORTS = ["websocket", "sse", "poll"];
const TAKEOVER_DEADLINE_MS = 60_000;

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

async function publish(server, text) {
  const response = await fetch(`${server.url}/rooms/news/messages`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text }) });
  assert.equal(response.status, 200);
}

/** How many connections the server has of a user in the room. */
async function connections(server) {
  const response = await fetch(`${server.url}/rooms/news/presence`);
  return (await response.json()).users.map(({ connections }) => connections);
}

/** Opens tabs that are all live, the one that has the connection first. */
async function open_tabs(t, server, count, options) {
  const context = await open_context(t, browser, server.url);
  const tabs = [];
  for (let n = 0; n < count; n += 1) {
    tabs.push(await ClientPage.open(context, server.url, options));
    await tabs[n].is_live();
  }
  assert.deepEqual(await Promise.all(tabs.map(async (tab) => (await tab.look()).role)), ["leader", ...Array(count - 1).fill("follower")]);
  return tabs;
}

/** Every tab was told these texts, each once and in the order of their ids, and of so many gaps. */
async function have_all(tabs, texts, gaps_told = 0) {
  for (const tab of tabs) {
    const { messages, gaps } = await tab.until("all came", ({ messages }) => new Set(messages.map(({ text }) => text)).size >= texts.length);
    assert.deepEqual(messages.map(({ text }) => text).sort(), [...texts].sort());
    assert.deepEqual(messages, messages.toSorted((one, other) => one.id - other.id));
    assert.equal(gaps.length, gaps_told, JSON.stringify(gaps));
    assert.deepEqual(tab.complaints, []);
  }
}

for (const transport of TRANSPORTS) {
  test(`eight tabs are live over one connection, and each sends and hears: ${transport}`, async (t) => {
    const server = await Server.start(t);
    const tabs = await open_tabs(t, server, 8, { transports: [transport] });
    assert.deepEqual(await connections(server), [1]);
    await Promise.all(tabs.map((tab, n) => tab.say(`from ${n}`)));
    await have_all(tabs, tabs.map((_, n) => `from ${n}`));
    for (const [n, tab] of tabs.entries()) {
      const { acks } = await tab.until("it was acknowledged", ({ acks }) => acks.length > 0);
      assert.deepEqual(acks.map(({ text }) => text), [`from ${n}`]);
    }
  });

  test(`while tabs send, the one with the connection is closed again and again: ${transport}`, async (t) => {
    const server = await Server.start(t);
    const tabs = await open_tabs(t, server, 5, { transports: [transport] });
    const said = [];
    const load = async (round) => {
      for (let n = 0; n < 10; n += 1) {
        for (const [at, tab] of tabs.entries()) await tab.say(`${round}.${n} of ${5 - tabs.length + at}`);
        await publish(server, `${round}.${n} of others`);
        said.push(`${round}.${n} of others`, ...tabs.map((_, at) => `${round}.${n} of ${5 - tabs.length + at}`));
      }
    };
    await load(0);
    for (let round = 1; round <= 3; round += 1) {
      const leader = (await Promise.all(tabs.map((tab) => tab.look()))).findIndex(({ role }) => role === "leader");
      const [gone] = tabs.splice(leader, 1);
      // What it had sent was acknowledged, so that nobody need guess.
      await gone.until("it has its answers", ({ acks }) => acks.length === 10 * round);
      const loading = load(round);
      await gone.close();
      await loading;
    }
    await have_all(tabs, said);
    for (const tab of tabs) {
      const { acks, refused } = await tab.until("all was acknowledged", ({ acks }) => acks.length === 40);
      assert.equal(new Set(acks.map(({ text }) => text)).size, acks.length);
      assert.deepEqual(refused, []);
    }
    await until("one connection is left", () => connections(server), (found) => found.join() === "1");
  });
}

test("without sharing, the browser lets no seventh stream through", async (t) => {
  const server = await Server.start(t);
  const context = await open_context(t, browser, server.url);
  const options = { transports: ["sse"], share: false };
  // Its page, too, would have to wait.
  const seventh = await ClientPage.blank(context, server.url);
  for (let n = 0; n < 6; n += 1) await (await ClientPage.open(context, server.url, options)).is_live();
  await seventh.begin({ ...options, lengths: { attempt_ms: 2_000 } });
  await seventh.until("its attempt is given up", ({ states }) => states.some(({ state, reason }) => state === "waiting" && reason === "No session came in time."));
  assert.deepEqual(await connections(server), [6]);
});

test("tabs of different users, and tabs of whom nobody knows, share nothing", async (t) => {
  const server = await Server.start(t);
  const context = await open_context(t, browser, server.url);
  const open = (options) => ClientPage.open(context, server.url, options);
  const [ana, ben] = [await open({ user: "ana" }), await open({ user: "ben" })];
  for (const tab of [ana, ben]) assert.equal((await tab.is_live()).role, "leader");
  const alone = await open({ share: false });
  assert.equal((await alone.is_live()).role, "alone");
  const named = await open({ share: "a name" });
  assert.equal((await named.is_live()).role, "leader");
});

test("a tab that comes late is told all from its position on, and what follows", async (t) => {
  const server = await Server.start(t);
  const [first] = await open_tabs(t, server, 1);
  const texts = Array.from({ length: 30 }, (_, n) => `${n}`);
  for (const text of texts.slice(0, 20)) await publish(server, text);
  const late = await ClientPage.open(first.page.context(), server.url, { after: 0 });
  for (const text of texts.slice(20)) await publish(server, text);
  await have_all([first, late], texts);
  assert.equal((await late.look()).role, "follower");
});

test("a tab that is frozen gives the connection up, and has missed nothing when it is back", async (t) => {
  const server = await Server.start(t);
  const tabs = await open_tabs(t, server, 3, { transports: ["sse"] });
  await tabs[0].hears("freeze");
  await until("another one has the connection", () => Promise.all(tabs.slice(1).map((tab) => tab.look())), (found) => found.some(({ role, state }) => role === "leader" && state === "live"));
  await publish(server, "while it was frozen");
  await tabs[1].say("of another");
  await have_all(tabs.slice(1), ["while it was frozen", "of another"]);
  await tabs[0].hears("resume");
  await have_all(tabs, ["while it was frozen", "of another"]);
  assert.deepEqual(await connections(server), [1]);
});

test("a tab whose page goes elsewhere leaves the connection to the others", async (t) => {
  const server = await Server.start(t);
  const tabs = await open_tabs(t, server, 3);
  await tabs[0].page.goto(`${server.url}/ready`);
  await publish(server, "after it went");
  await have_all(tabs.slice(1), ["after it went"]);
  const roles = async () => (await Promise.all(tabs.slice(1).map((tab) => tab.look()))).map(({ role }) => role).sort();
  assert.deepEqual(await roles(), ["follower", "leader"]);
});

test("from a tab that is stuck the connection is taken, and it misses nothing either", async (t) => {
  const server = await Server.start(t);
  const tabs = await open_tabs(t, server, 2);
  const go_on = await tabs[0].halt();
  await tabs[1].until("it took the connection", ({ role, state }) => role === "leader" && state === "live", TAKEOVER_DEADLINE_MS);
  await publish(server, "while it was stuck");
  await have_all(tabs.slice(1), ["while it was stuck"]);
  await go_on();
  await have_all(tabs, ["while it was stuck"]);
  await tabs[0].until("it follows", ({ role, state }) => role === "follower" && state === "live");
});

test("a server that restarts is come back to by one connection for all tabs", async (t) => {
  const server = await Server.start(t);
  const tabs = await open_tabs(t, server, 3, { lengths: { first_ms: 100, longest_ms: 400, least_ms: 10 } });
  await server.stop();
  for (const tab of tabs) await tab.until("the loss is told", ({ state }) => state !== "live");
  for (const [n, tab] of tabs.entries()) await tab.say(`${n}, meanwhile`);
  const again = await Server.start(t, { port: server.port });
  for (const tab of tabs) {
    await tab.is_live();
    await tab.until("it is acknowledged", ({ acks }) => acks.length === 1);
  }
  // With the server went what it kept: that something may be lost is told to each.
  await have_all(tabs, tabs.map((_, n) => `${n}, meanwhile`), 1);
  assert.deepEqual(await connections(again), [1]);
});
