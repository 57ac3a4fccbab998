// The page in Chromium: what belongs to it whichever transport it uses.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium, Tab } from "./browser.mjs";
import { texts } from "./conversation.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

test("a dropped connection comes back by itself", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "harbour", name: "ana" });
  await ana.press("Drop");
  await ana.is("away");
  await ana.is("live");
});

test("a page that was reloaded shows the room again", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "kitchen", name: "ana" });
  await ana.say("still here");
  await ana.has_sent_all();
  await ana.page.reload();
  await ana.sees("still here");
  assert.deepEqual(await texts(ana), ["still here"]);
});

test("joining another room leaves the first one behind", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "kitchen", name: "ana" });
  const ben = await Tab.open(t, browser, server.url, { room: "cellar", name: "ben" });
  await ana.page.getByLabel("Room").fill("cellar");
  await ana.press("Join");
  await ana.is("live");
  await ana.say("nice and cool here");
  await ben.sees("nice and cool here");
  assert.equal(await ana.page.title(), "cellar · Tidings");
});

test("what looks like markup is shown as it was typed", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "quotes", name: "<b>ana</b>" });
  const text = `<img src=x onerror="document.title='broken'"> & "more"`;
  await ana.say(text);
  await ana.has_sent_all();
  assert.deepEqual(await texts(ana), [text]);
  assert.equal(await ana.page.locator("#log img, #log b b").count(), 0);
  assert.equal(await ana.page.locator("#log .byline b").textContent(), "<b>ana</b>");
});

test("the page can be used by keyboard and by screen reader, and asks no other host", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "lobby", name: "ana" });
  const requested = [];
  ana.page.on("request", (request) => requested.push(request.url()));
  await ana.page.reload();
  await ana.is("live");
  assert.ok(requested.length > 3);
  assert.deepEqual(requested.filter((url) => !url.startsWith(server.url) && !url.startsWith(server.websocket_url)), []);

  for (const name of ["Room", "Name", "Message"]) await ana.page.getByRole("textbox", { name }).waitFor();
  for (const name of ["Join", "Send", "Drop"]) await ana.page.getByRole("button", { name }).waitFor();
  await ana.page.getByRole("status").filter({ hasText: "live" }).waitFor();

  await ana.page.keyboard.type("typed without a mouse");
  await ana.page.keyboard.press("Enter");
  await ana.page.getByRole("log").getByText("typed without a mouse").waitFor();
});
