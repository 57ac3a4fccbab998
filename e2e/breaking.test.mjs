// The ways in which a visitor of the page may break the connection, over each transport: whatever it is, nobody misses anything.
// Dropping it is in recovery.test.mjs; here are ten seconds of silence, and a restart of the server that is none.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium, Tab } from "./browser.mjs";
import { assert_same_conversation, numbered, TRANSPORTS } from "./conversation.mjs";
import { Server } from "./server.mjs";
import { until } from "./wait.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

const session_of = (tab) => tab.page.locator("#session").textContent();

async function taken_over(server) {
  const page = await (await fetch(`${server.url}/metrics`)).text();
  const counts = page.matchAll(/^tidings_sessions_taken_over_total\S* (\d+)$/gm);
  return Array.from(counts, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
}

for (const transport of TRANSPORTS) {
  const way = `over ${transport}`;

  test(`${way}: ten seconds of silence, of which the server is not told, lose nothing`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "tunnel", name: "ana" });
    const ben = await Tab.open(t, browser, server.url, { room: "tunnel", name: "ben", transport });
    await ana.say("before");
    await ben.sees("before");
    const session = await session_of(ben);
    const is_noticed = ben.is("waiting", "connecting");

    await ben.press("Offline 10 s");
    await ben.say("typed in the tunnel");
    const missed = numbered("missed", 5);
    await ana.say(...missed);
    await is_noticed;
    await ben.picture(`offline-${transport}`);

    await ben.sees("missed 5");
    await ben.is_told("note", "5 missed messages recovered");
    await ana.sees("typed in the tunnel");
    await Promise.all([ana.has_sent_all(), ben.has_sent_all()]);
    assert.equal(await session_of(ben), session, "it is the same session");
    await assert_same_conversation(ana, ben, ["before", ...missed, "typed in the tunnel"]);
    // A poll is answered by the first message that is missed; the others' connection still counts as there.
    if (transport !== "poll") assert.ok((await taken_over(server)) > 0, "nobody had closed it");
  });

  test(`${way}: a restart for one alone is told, and loses nothing`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "dock", name: "ana" });
    const ben = await Tab.open(t, browser, server.url, { room: "dock", name: "ben", transport });
    await ana.say("before");
    await ben.sees("before");
    const session = await session_of(ben);

    const note = ben.page.locator("#log .note", { hasText: "The server is restarting." });
    // Between two polls there is nobody to tell.
    await until("ben is told", async () => (await ben.press("Restart server")) ?? note.waitFor({ timeout: 2_000 }).then(() => true, () => false));
    await ben.is("waiting");
    await ben.say("typed meanwhile");
    const missed = numbered("missed", 5);
    await ana.say(...missed);

    await ben.is("live");
    await ben.sees("missed 5");
    await ana.sees("typed meanwhile");
    await Promise.all([ana.has_sent_all(), ben.has_sent_all()]);
    assert.equal(await session_of(ben), session, "it is the same session");
    await assert_same_conversation(ana, ben, ["before", ...missed, "typed meanwhile"]);
    assert.equal(await ana.page.locator("#log .note").count(), 0, "nobody else noticed");
  });
}

test("a silence may be ended before its time, and what was begun in it goes out", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "tunnel", name: "ana" });
  const offline = ana.page.getByRole("button", { name: /^Offline/ });
  await offline.click();
  assert.equal(await offline.getAttribute("aria-pressed"), "true");
  await ana.say("typed in the tunnel");
  await ana.is("connecting", "waiting");
  await offline.click();
  assert.equal(await offline.getAttribute("aria-pressed"), "false");
  await ana.is("live");
  await ana.has_sent_all();
  await assert_same_conversation(ana, ana, ["typed in the tunnel"]);
});
