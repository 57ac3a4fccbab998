// Who is here and who types, as the page tells it over each transport.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { sentence } from "../web/typing.js";
import { start_chromium, Tab } from "./browser.mjs";
import { TRANSPORTS } from "./conversation.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

/** Nobody is waited for who might come back, and a reader who is gone is noticed by what is written to it. */
const NO_GRACE = { flags: ["--presence-grace-ms", "100", "--ping-interval-ms", "500", "--poll-timeout-ms", "500"] };

for (const transport of TRANSPORTS) {
  test(`over ${transport}: one sees who is here, who comes and who goes`, async (t) => {
    const server = await Server.start(t, NO_GRACE);
    const ana = await Tab.open(t, browser, server.url, { room: "garden", name: "ana", transport });
    await ana.lists("ana");
    const ben = await Tab.open(t, browser, server.url, { room: "garden", name: "ben" });
    const eva = await Tab.open(t, browser, server.url, { room: "garden", name: "eva", transport });
    await ana.lists("ana", "ben", "eva");
    await ben.lists("ben", "ana", "eva");
    await eva.lists("eva", "ana", "ben");
    await ben.context.close();
    await ana.lists("ana", "eva");
    await eva.context.close();
    await ana.lists("ana");
  });

  test(`over ${transport}: one sees who types, until the field is empty or the message is there`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "garden", name: "ana", transport });
    const ben = await Tab.open(t, browser, server.url, { room: "garden", name: "ben", transport });
    await ben.page.fill("#text", "hm");
    await ana.reads("ben is typing…");
    await ben.page.fill("#text", "");
    await ana.reads("");
    await ben.page.fill("#text", "well, then");
    await ana.reads("ben is typing…");
    await ben.page.press("#text", "Enter");
    await ana.sees("well, then");
    await ana.reads("");
    assert.equal(await ben.page.locator("#typing").textContent(), "", "one's own typing is no news");
  });
}

test("up to three who type are named, more are several", async (t) => {
  assert.equal(sentence([]), "");
  assert.equal(sentence(["ben"]), "ben is typing…");
  assert.equal(sentence(["ben", "dan"]), "ben and dan are typing…");
  assert.equal(sentence(["ben", "dan", "eva"]), "ben, dan and eva are typing…");
  const server = await Server.start(t);
  const open = (name) => Tab.open(t, browser, server.url, { room: "garden", name });
  const ana = await open("ana");
  const others = await Promise.all(["ben", "dan", "eva", "fay"].map(open));
  await Promise.all(others.map((tab) => tab.page.fill("#text", "so")));
  await ana.reads("several people are typing…");
});

test("in a big room the names come by asking again", async (t) => {
  const server = await Server.start(t, { flags: ["--presence-grace-ms", "100", "--presence-single-users-max", "1"] });
  const ana = await Tab.open(t, browser, server.url, { room: "stadium", name: "ana" });
  const ben = await Tab.open(t, browser, server.url, { room: "stadium", name: "ben" });
  await Tab.open(t, browser, server.url, { room: "stadium", name: "eva" });
  await ana.lists("ana", "ben", "eva");
  await ben.context.close();
  await ana.lists("ana", "eva");
});

test("while one types, the room is told at most every three seconds", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "garden", name: "ana", transport: "sse" });
  await ana.page.clock.install();
  const told = [];
  ana.page.on("request", (request) => {
    const type = /typing_\w+/.exec(request.postData() ?? "")?.[0];
    if (type) told.push(type);
  });
  const type = (text) => ana.page.locator("#text").pressSequentially(text);
  await type("three words at once");
  assert.deepEqual(told, ["typing_start"]);
  await ana.page.clock.fastForward(3_000);
  await type("!!");
  assert.deepEqual(told, ["typing_start", "typing_start"]);
  await ana.page.fill("#text", "");
  await ana.page.fill("#text", "");
  assert.deepEqual(told, ["typing_start", "typing_start", "typing_stop"]);
});
