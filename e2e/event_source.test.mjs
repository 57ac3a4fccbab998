// EventSource, Chromium's and that of the npm package: it comes back by itself with Last-Event-ID, and that is enough.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium } from "./browser.mjs";
import { Cable } from "./cable.mjs";
import { read_in_chromium, read_in_node } from "./event_source.mjs";
import { publish, publish_all } from "./publish.mjs";
import { Server } from "./server.mjs";

// Five seconds are told by default; these tests have no time for them.
const SOON_AGAIN = { flags: ["--feed-retry-ms", "100"] };

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

const makes = {
  Chromium: (t, url, path) => read_in_chromium(t, browser, url, path),
  "npm's eventsource": read_in_node,
};

const ids_of = (messages) => messages.map(({ id }) => id);

for (const [make, read] of Object.entries(makes)) {
  test(`${make} misses nothing of a room when its connection is cut, and gets nothing twice`, async (t) => {
    const server = await Server.start(t, SOON_AGAIN);
    const cable = await Cable.lay(t, server.port);
    const reader = await read(t, cable.url, "/events?room=news");
    await reader.receives("joined");
    const before = await publish_all(server, "news", ["one", "two"]);
    const seen = await reader.messages(2);
    assert.deepEqual(seen.map(({ last_event_id }) => Number(last_event_id)), before, "the id of the event is that of the message");

    cable.tear();
    const away = await publish_all(server, "news", ["three", "four", "five"]);
    cable.mend();
    const missed = await reader.messages(3);
    const last = await publish(server, "news", "six");
    const [live] = await reader.messages(1);
    assert.deepEqual(ids_of([...seen, ...missed, live]), [...before, ...away, last]);
    assert.deepEqual(reader.rest.filter(({ type }) => type === "message" || type === "gap"), []);
  });

  test(`${make} misses nothing of two rooms at once`, async (t) => {
    const server = await Server.start(t, SOON_AGAIN);
    const cable = await Cable.lay(t, server.port);
    const reader = await read(t, cable.url, "/events?room=news&room=sport");
    for (const room of ["news", "sport"]) await reader.receives("joined", (frame) => frame.room === room);
    const ids = { news: [await publish(server, "news", "1")], sport: [await publish(server, "sport", "1")] };
    const seen = await reader.messages(2);

    cable.tear();
    for (const room of ["sport", "news", "sport"]) ids[room].push(await publish(server, room, "missed"));
    cable.mend();
    seen.push(...(await reader.messages(3)));
    for (const room of ["news", "sport"]) assert.deepEqual(ids_of(seen.filter((message) => message.room === room)), ids[room]);
    assert.deepEqual(reader.rest.filter(({ type }) => type === "message" || type === "gap"), []);
  });

  test(`${make} is told a gap when the server was killed and its memory with it`, async (t) => {
    const server = await Server.start(t, SOON_AGAIN);
    const reader = await read(t, server.url, "/events?room=dock");
    await reader.receives("joined");
    const id = await publish(server, "dock", "before the crash");
    await reader.messages(1);

    await server.kill();
    const again = await Server.start(t, { ...SOON_AGAIN, port: server.port });
    const gap = await reader.receives("gap");
    assert.equal(gap.after, id);
    const next = await publish(again, "dock", "after the crash");
    assert.deepEqual(ids_of(await reader.messages(1)), [next]);
    assert.ok(gap.before > id && gap.before <= next, "the gap ends where messages go on");
  });
}
