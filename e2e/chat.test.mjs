// Two people in two tabs of Chromium: what they see when the network, or one of them, goes away and comes back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium, Tab } from "./browser.mjs";
import { Cable } from "./cable.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

const numbered = (word, count) => Array.from({ length: count }, (_, index) => `${word} ${index + 1}`);
const texts = async (tab) => (await tab.messages()).map(({ text }) => text);

/** Both saw the same messages, each once, in the order of their ids. */
async function assert_same_conversation(one, other, expected) {
  for (const tab of [one, other]) {
    const ids = (await tab.messages()).map(({ id }) => id);
    assert.deepEqual(ids, [...ids].sort((a, b) => a - b), "ids rise from top to bottom");
    assert.equal(new Set(ids).size, ids.length, "no message is there twice");
    assert.deepEqual(tab.complaints, [], "the page's code did not fail");
  }
  assert.deepEqual((await texts(one)).sort(), [...expected].sort());
  assert.deepEqual(await one.messages().then(ids_of), await other.messages().then(ids_of));
}

const ids_of = (messages) => messages.map(({ id }) => id);

test("two tabs chat, and each sees its own messages as its own", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "garden", name: "ana" });
  const ben = await Tab.open(t, browser, server.url, { room: "garden", name: "ben" });
  await ana.say("Are the seedlings in?");
  await ben.sees("Are the seedlings in?");
  await ben.say("Since this morning.");
  await ana.sees("Since this morning.");
  await ana.has_sent_all();
  assert.deepEqual((await ana.messages()).map(({ own }) => own), [true, false]);
  assert.deepEqual((await ben.messages()).map(({ own }) => own), [false, true]);
  await assert_same_conversation(ana, ben, ["Are the seedlings in?", "Since this morning."]);
});

test("who comes later sees what was said before", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "early", name: "ana" });
  await ana.say("first", "second");
  await ana.has_sent_all();
  const ben = await Tab.open(t, browser, server.url, { room: "early", name: "ben" });
  await ben.sees("second");
  assert.deepEqual((await ben.messages()).map(({ text, recovered }) => [text, recovered]), [["first", false], ["second", false]]);
});

test("a dropped connection misses nothing, and gets nothing twice", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "harbour", name: "ana" });
  const ben = await Tab.open(t, browser, server.url, { room: "harbour", name: "ben" });
  await ana.say("The ferry leaves at nine.");
  await ben.sees("The ferry leaves at nine.");

  await ben.press("Drop my connection");
  await ben.is("away");
  const missed = numbered("while ben was away", 20);
  await ana.say(...missed);
  await ben.say("written while away");
  await ana.has_sent_all();
  assert.deepEqual(await texts(ben), ["The ferry leaves at nine."], "ben is really away");
  await ben.picture("dropped");

  await ben.press("Reconnect");
  await ben.sees(missed.at(-1));
  await ben.is_told("note", "20 missed messages recovered");
  await ana.sees("written while away");
  await ben.has_sent_all();
  const recovered = (await ben.messages()).filter((message) => message.recovered).map(({ text }) => text);
  assert.deepEqual(recovered, missed, "what was missed is marked");
  await assert_same_conversation(ana, ben, ["The ferry leaves at nine.", ...missed, "written while away"]);
});

test("a dropped connection comes back by itself", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "harbour", name: "ana" });
  await ana.press("Drop my connection");
  await ana.is("away");
  await ana.is("live");
});

test("a torn network is noticed at once, and what was typed meanwhile arrives once", async (t) => {
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const ana = await Tab.open(t, browser, server.url, { room: "pier", name: "ana" });
  const ben = await Tab.open(t, browser, cable.url, { room: "pier", name: "ben" });
  cable.tear();
  await ben.is("waiting");
  await ana.say(...numbered("missed", 5));
  await ben.say(...numbered("typed offline", 5));
  await ana.has_sent_all();
  cable.mend();
  await ben.sees("missed 5");
  await ana.sees("typed offline 5");
  await ben.has_sent_all();
  await assert_same_conversation(ana, ben, [...numbered("missed", 5), ...numbered("typed offline", 5)]);
});

test("a network that dies silently is noticed by the missing sign of life", async (t) => {
  const server = await Server.start(t, { flags: ["--ping-interval-ms", "500", "--pong-timeout-ms", "500"] });
  const cable = await Cable.lay(t, server.port);
  const ana = await Tab.open(t, browser, server.url, { room: "fog", name: "ana" });
  const ben = await Tab.open(t, browser, cable.url, { room: "fog", name: "ben" });
  cable.cut();
  await ben.say("into the fog");
  await ana.say("can you hear me?");
  await ana.has_sent_all();
  await ben.is("waiting", "connecting");
  cable.mend();
  await ben.sees("can you hear me?");
  await ana.sees("into the fog");
  await ben.has_sent_all();
  await assert_same_conversation(ana, ben, ["into the fog", "can you hear me?"]);
});

test("a message whose acknowledgement was lost is sent again, and is there once", async (t) => {
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const ana = await Tab.open(t, browser, server.url, { room: "echo", name: "ana" });
  const ben = await Tab.open(t, browser, cable.url, { room: "echo", name: "ben" });
  cable.deafen();
  await ben.say("did you get this?");
  await ana.sees("did you get this?");
  cable.mend();
  await ben.has_sent_all();
  await ana.say("yes");
  await ben.sees("yes");
  await assert_same_conversation(ana, ben, ["did you get this?", "yes"]);
});

test("a browser that goes offline and online again keeps the conversation whole", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "train", name: "ana" });
  const ben = await Tab.open(t, browser, server.url, { room: "train", name: "ben" });
  await ben.context.setOffline(true);
  await ana.say(...numbered("in the tunnel", 3));
  await ben.say("from the tunnel");
  await ana.has_sent_all();
  await ben.context.setOffline(false);
  await ben.sees("in the tunnel 3");
  await ana.sees("from the tunnel");
  await ben.has_sent_all();
  await assert_same_conversation(ana, ben, [...numbered("in the tunnel", 3), "from the tunnel"]);
});

test("a long absence is told as a gap where the room no longer reaches back", async (t) => {
  const server = await Server.start(t, { flags: ["--room-history-messages", "5"] });
  const ana = await Tab.open(t, browser, server.url, { room: "short", name: "ana" });
  const ben = await Tab.open(t, browser, server.url, { room: "short", name: "ben" });
  await ana.say("before");
  await ben.sees("before");
  await ben.press("Drop my connection");
  await ben.is("away");
  await ana.say(...numbered("missed", 12));
  await ana.has_sent_all();
  await ben.press("Reconnect");
  await ben.sees("missed 12");
  await ben.is_told("gap", "the server no longer keeps them");
  assert.deepEqual(await texts(ben), ["before", ...numbered("missed", 12).slice(-5)]);
  const rows = await ben.page.locator("#log li").evaluateAll((rows) => rows.map((row) => row.className.split(" ")[0]));
  assert.deepEqual(rows.slice(0, 3), ["message", "gap", "message"], "the gap stands where it lies");
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
  for (const name of ["Join", "Send", "Drop my connection"]) await ana.page.getByRole("button", { name }).waitFor();
  await ana.page.getByRole("status").filter({ hasText: "live" }).waitFor();

  await ana.page.keyboard.type("typed without a mouse");
  await ana.page.keyboard.press("Enter");
  await ana.page.getByRole("log").getByText("typed without a mouse").waitFor();
});
