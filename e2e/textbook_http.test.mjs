// The textbook's readers without WebSocket: its EventSource and its polling loop, as printed (textbook/, not a letter changed
// but what a test says it changes).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { start_chromium } from "./browser.mjs";
import { Cable } from "./cable.mjs";
import { curl } from "./curl.mjs";
import { publish } from "./publish.mjs";
import { Server } from "./server.mjs";
import { Arrivals, until } from "./wait.mjs";

const printed = (name) => readFileSync(new URL(`textbook/${name}`, import.meta.url), "utf8");

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

/** A page of the server's origin, because the printed addresses have no host. It is made up here and asks for nothing itself. */
async function open_page(t, url) {
  const page = await browser.newPage();
  t.after(() => page.close());
  const address = `${url}/reader`;
  await page.route(address, (route) => route.fulfill({ contentType: "text/html", body: '<link rel="icon" href="data:,">' }));
  await page.goto(address);
  await page.unroute(address);
  return page;
}

const broadcast = async (server, text) => {
  const { body } = await curl("-X", "POST", `${server.url}/broadcast?message=${text}`);
  assert.equal(body.status, "sent");
  return body.id;
};

/** Waits until somebody is in the lobby: rooms without messages are listed for as long as they have members. */
const somebody_listens = (server) =>
  until("somebody is in the lobby", async () => (await curl(`${server.url}/rooms`)).body.rooms.some(({ room }) => room === "lobby"));

test("the printed EventSource logs each event, and closes when the server is gone", async (t) => {
  const server = await Server.start(t);
  const page = await open_page(t, server.url);
  const said = new Arrivals();
  page.on("console", async (line) => {
    // Chromium logs of its own accord too, and then without arguments.
    const [label, thing] = line.args();
    if (label) said.push({ label: await label.jsonValue(), thing: await thing.jsonValue() });
  });
  // The event's name is the type of the frame, and what the textbook calls an update is a message here.
  await page.addScriptTag({ content: printed("event_source.js").replace("'update'", "'message'") });
  await page.waitForFunction("eventSource.readyState === EventSource.OPEN");
  await somebody_listens(server);
  const id = await publish(server, "lobby", "hello");
  const update = { label: "Update:", thing: { type: "message", room: "lobby", id, text: "hello" } };
  assert.deepEqual(await said.take("an update"), update);
  assert.deepEqual(said.rest, []);

  await server.kill();
  await said.take("the error", ({ label }) => label === "Connection error:");
  await page.waitForFunction("eventSource.readyState === EventSource.CLOSED");
});

test("the printed polling loop gets each broadcast once and in order, over a cut connection and a killed server", async (t) => {
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const page = await open_page(t, cable.url);
  const updates = new Arrivals();
  await page.exposeFunction("handleUpdate", (update) => updates.push(update));
  // The printed pause of five seconds would only make this slower.
  await page.evaluate("window.sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms / 50)); 0");
  await page.addScriptTag({ content: `${printed("long_poll.js")} poll();` });
  await somebody_listens(server);
  const sent = [];
  const received = [];
  const say = async (on, ...texts) => {
    for (const text of texts) sent.push({ type: "message", room: "lobby", id: await broadcast(on, text), text });
  };
  const hears_all = async () => {
    while (received.length < sent.length) received.push(await updates.take("an update"));
  };

  await say(server, "one", "two");
  await hears_all();
  cable.tear();
  await say(server, "three", "four", "five");
  cable.mend();
  await hears_all();

  await server.kill();
  const again = await Server.start(t, { port: server.port });
  await somebody_listens(again);
  await say(again, "six");
  await hears_all();
  assert.deepEqual(received, sent);
  assert.deepEqual(updates.rest, []);
});
