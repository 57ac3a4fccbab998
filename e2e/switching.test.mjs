// Changing the transport in the middle of a conversation: same room, same name, same session, and no message lost or doubled.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium, Tab } from "./browser.mjs";
import { Cable } from "./cable.mjs";
import { assert_same_conversation, numbered } from "./conversation.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

const LABELS = { websocket: "WebSocket", sse: "SSE", poll: "Long poll" };
const PAIRS = Object.keys(LABELS).flatMap((from) => Object.keys(LABELS).map((to) => [from, to])).filter(([from, to]) => from !== to);

/** Another person speaks without a pause until `stop` is called, which gives what was said. */
function speak_on(tab, word) {
  let stopped = false;
  const said = [];
  const speaking = (async () => {
    while (!stopped) {
      said.push(`${word} ${said.length + 1}`);
      await tab.say(said.at(-1));
    }
  })();
  return async () => {
    stopped = true;
    await speaking;
    return said;
  };
}

for (const [from, to] of PAIRS) {
  test(`from ${from} to ${to} while messages flow, none is lost and none comes twice`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "ferry", name: "ana" });
    const ben = await Tab.open(t, browser, server.url, { room: "ferry", name: "ben", transport: from });
    const session = await ben.page.locator("#session").textContent();
    const stop = speak_on(ana, "wave");
    await ben.sees("wave 5");
    await ben.takes(LABELS[to]);
    await ben.say("said while switching");
    await ben.is("live");
    await ana.sees("said while switching");
    await ben.has_sent_all();
    const said = await stop();
    await ben.sees(said.at(-1));
    await ana.has_sent_all();
    assert.equal(await ben.page.locator("#session").textContent(), session, "it is the same session");
    await assert_same_conversation(ana, ben, [...said, "said while switching"]);
  });
}

test("switching again and again while both speak keeps the conversation whole", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "ferry", name: "ana" });
  const ben = await Tab.open(t, browser, server.url, { room: "ferry", name: "ben" });
  const stop = speak_on(ana, "wave");
  const own = numbered("from the bridge", 9);
  for (const [index, text] of own.entries()) {
    await ben.takes(Object.values(LABELS)[(index + 1) % 3]);
    await ben.say(text);
  }
  await ben.has_sent_all();
  const said = await stop();
  await ben.sees(said.at(-1));
  await ana.has_sent_all();
  await ana.sees(own.at(-1));
  await assert_same_conversation(ana, ben, [...said, ...own]);
});

test("a dead WebSocket is left for a stream, and what it swallowed comes", async (t) => {
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const ana = await Tab.open(t, browser, server.url, { room: "ferry", name: "ana" });
  const ben = await Tab.open(t, browser, cable.url, { room: "ferry", name: "ben" });
  cable.deafen();
  // The server hands these to a socket from which nothing arrives, so its own idea of ben's position is wrong.
  await ana.say(...numbered("swallowed", 5));
  await ana.has_sent_all();
  cable.mend();
  await ben.takes(LABELS.sse);
  await ben.sees("swallowed 5");
  await assert_same_conversation(ana, ben, numbered("swallowed", 5));
});

test("the transport is kept in the address, chosen by keyboard and named on the page", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "ferry", name: "ana" });
  await ana.page.getByRole("radio", { name: "WebSocket" }).focus();
  await ana.page.keyboard.press("ArrowRight");
  await ana.page.locator("#transport-name", { hasText: "SSE + POST" }).waitFor();
  await ana.is("live");
  await ana.page.reload();
  await ana.is("live");
  assert.equal(await ana.page.getByRole("radio", { name: "SSE" }).isChecked(), true);
  assert.equal(await ana.page.locator("#transport-name").textContent(), "SSE + POST");
});
