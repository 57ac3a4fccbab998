// Tabs that share a connection come, go, crash and freeze as a seed decides; what each application was told is then compared with what
// the server stored. `SEEDS=from-to` runs others.

import assert from "node:assert/strict";
import { test } from "node:test";

import { live_through } from "../simulated/life.mjs";
import { Browser } from "../simulated/tabs.mjs";
import { source } from "../tool.mjs";

const { ANSWER_MS, FORGET_MS, SILENCE_MS } = await source("shared/words.ts");

const [FIRST, LAST] = (process.env.SEEDS ?? "1-100").split("-").map(Number);

test("tabs that come, go, crash and freeze are told every message once, in order, or of a gap; and send each once", () => {
  for (let seed = FIRST; seed <= LAST; seed += 1) live_through(seed, { kept: Infinity });
});

test("also when the rooms keep little, and the server loses all it has", () => {
  for (let seed = FIRST; seed <= LAST; seed += 1) live_through(seed, { kept: 8, crashes: true });
});

/** Two live tabs in a room, the one with the connection first. */
function two_tabs() {
  const browser = new Browser(1);
  const tabs = [browser.open(), browser.open({ loses_while_frozen: true })];
  for (const tab of tabs) tab.join("news");
  browser.clock.run(1_000);
  assert.deepEqual(tabs.map(({ tab }) => tab.role), ["leader", "follower"]);
  return { browser, tabs };
}

const ids = (page) => page.rooms.get("news").told.map(({ id }) => id);

test("a tab that stands still without a word loses the connection, and is told all once it goes on", () => {
  const { browser, tabs } = two_tabs();
  const [stuck, other] = tabs;
  stuck.freeze(false);
  browser.clock.run(SILENCE_MS + 1.25 * ANSWER_MS + 1_000);
  assert.equal(other.tab.role, "leader");
  const id = browser.server.publish("news", "meanwhile");
  browser.clock.run(1_000);
  assert.deepEqual(ids(other), [id]);
  stuck.thaw();
  browser.clock.run(1_000);
  assert.deepEqual(ids(stuck), [id]);
  assert.deepEqual([stuck.tab.role, other.tab.role], ["follower", "leader"]);
});

test("what was said for a tab while it was away is not said again in another session", () => {
  const { browser, tabs } = two_tabs();
  const [leader, away] = tabs;
  const cut = () => [...browser.server.connections].forEach((connection) => connection.cut({ code: 1006 }));
  browser.is_down = true;
  cut();
  browser.clock.run(100);
  assert.equal(leader.states.at(-1), "waiting");
  away.send("news", "once");
  away.freeze(true);
  browser.is_down = false;
  browser.clock.run(60_000);
  browser.server.sessions.clear();
  cut();
  browser.clock.run(60_000);
  away.thaw();
  browser.clock.run(60_000);
  assert.deepEqual(away.sent.get("once").outcomes, ["outcome_unknown"]);
  assert.deepEqual(browser.server.stored.get("news").map(({ text }) => text), ["once"]);
});

test("a tab that is closed takes back what was not said yet", () => {
  const { browser, tabs } = two_tabs();
  browser.is_down = true;
  for (const connection of browser.server.connections) connection.cut({ code: 1006 });
  browser.clock.run(100);
  tabs[1].send("news", "never mind");
  browser.clock.run(100);
  tabs[1].close();
  browser.is_down = false;
  browser.clock.run(60_000);
  assert.equal(browser.server.stored.get("news"), undefined);
});

test("a hundred tabs are one connection, and the rooms of those that went without a word are left", () => {
  const browser = new Browser(2);
  const tabs = Array.from({ length: 100 }, () => browser.open());
  browser.clock.run(1_000);
  for (const [n, tab] of tabs.entries()) tab.join(`room ${n}`);
  browser.clock.run(1_000);
  const rooms = () => [...browser.server.connections].map((connection) => connection.rooms.size);
  assert.deepEqual(rooms(), [100]);
  for (const tab of tabs.slice(50)) tab.kill();
  browser.clock.run(FORGET_MS + 60_000);
  assert.deepEqual(rooms(), [50]);
});
