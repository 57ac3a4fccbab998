// Two people in two tabs of Chromium, one of them over each transport in turn: what they see when the network, or one of
// them, goes away and comes back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium, Tab } from "./browser.mjs";
import { Cable } from "./cable.mjs";
import { assert_same_conversation, numbered, texts, TRANSPORTS } from "./conversation.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

for (const transport of TRANSPORTS) {
  const way = `over ${transport}`;

  test(`${way}: two tabs chat, and each sees its own messages as its own`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "garden", name: "ana" });
    const ben = await Tab.open(t, browser, server.url, { room: "garden", name: "ben", transport });
    await ana.say("Are the seedlings in?");
    await ben.sees("Are the seedlings in?");
    await ben.say("Since this morning.");
    await ana.sees("Since this morning.");
    await ana.has_sent_all();
    assert.deepEqual((await ana.messages()).map(({ own }) => own), [true, false]);
    assert.deepEqual((await ben.messages()).map(({ own }) => own), [false, true]);
    await assert_same_conversation(ana, ben, ["Are the seedlings in?", "Since this morning."]);
  });

  test(`${way}: who comes later sees what was said before`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "early", name: "ana" });
    await ana.say("first", "second");
    await ana.has_sent_all();
    const ben = await Tab.open(t, browser, server.url, { room: "early", name: "ben", transport });
    await ben.sees("second");
    assert.deepEqual((await ben.messages()).map(({ text, recovered }) => [text, recovered]), [["first", false], ["second", false]]);
  });

  test(`${way}: a dropped connection misses nothing, and gets nothing twice`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "harbour", name: "ana" });
    const ben = await Tab.open(t, browser, server.url, { room: "harbour", name: "ben", transport });
    await ana.say("The ferry leaves at nine.");
    await ben.sees("The ferry leaves at nine.");

    await ben.press("Drop");
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

  test(`${way}: a torn network is noticed, and what was typed meanwhile arrives once`, async (t) => {
    const server = await Server.start(t);
    const cable = await Cable.lay(t, server.port);
    const ana = await Tab.open(t, browser, server.url, { room: "pier", name: "ana" });
    const ben = await Tab.open(t, browser, cable.url, { room: "pier", name: "ben", transport });
    cable.tear();
    // Chromium asks a torn poll again by itself; what one says is not answered then.
    await ben.say(...numbered("typed offline", 5));
    await ben.is("waiting", "connecting");
    await ana.say(...numbered("missed", 5));
    await ana.has_sent_all();
    cable.mend();
    await ben.sees("missed 5");
    await ana.sees("typed offline 5");
    await ben.has_sent_all();
    await assert_same_conversation(ana, ben, [...numbered("missed", 5), ...numbered("typed offline", 5)]);
  });

  test(`${way}: a network that dies silently is noticed by the missing sign of life`, async (t) => {
    const server = await Server.start(t, { flags: ["--ping-interval-ms", "500", "--pong-timeout-ms", "500"] });
    const cable = await Cable.lay(t, server.port);
    const ana = await Tab.open(t, browser, server.url, { room: "fog", name: "ana" });
    const ben = await Tab.open(t, browser, cable.url, { room: "fog", name: "ben", transport });
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

  test(`${way}: a message whose acknowledgement was lost is sent again, and is there once`, async (t) => {
    const server = await Server.start(t);
    const cable = await Cable.lay(t, server.port);
    const ana = await Tab.open(t, browser, server.url, { room: "echo", name: "ana" });
    const ben = await Tab.open(t, browser, cable.url, { room: "echo", name: "ben", transport });
    await ben.say("hello?");
    await ben.has_sent_all();
    cable.deafen();
    await ben.say("did you get this?");
    await ana.sees("did you get this?");
    cable.mend();
    await ben.has_sent_all();
    await ana.say("yes");
    await ben.sees("yes");
    await assert_same_conversation(ana, ben, ["hello?", "did you get this?", "yes"]);
  });

  test(`${way}: a browser that goes offline and online again keeps the conversation whole`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "train", name: "ana" });
    const ben = await Tab.open(t, browser, server.url, { room: "train", name: "ben", transport });
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

  test(`${way}: a long absence is told as a gap where the room no longer reaches back`, async (t) => {
    const server = await Server.start(t, { flags: ["--room-history-messages", "5"] });
    const ana = await Tab.open(t, browser, server.url, { room: "short", name: "ana" });
    const ben = await Tab.open(t, browser, server.url, { room: "short", name: "ben", transport });
    await ana.say("before");
    await ben.sees("before");
    await ben.press("Drop");
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
}
