// Event streams and long polls behind nginx with the configuration that is handed out. At once, because one waits for long.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { curl, CurlStream } from "./curl.mjs";
import { read_in_node } from "./event_source.mjs";
import { start_in_front_of } from "./nginx.mjs";
import { publish } from "./publish.mjs";
import { Server } from "./server.mjs";
import { soon } from "./wait.mjs";

describe("behind nginx", { concurrency: true }, () => {
  test("events come one by one, as they happen", async (t) => {
    const server = await Server.start(t);
    const stream = new CurlStream(t, `${await start_in_front_of(t, server)}/events?room=news`);
    await stream.event("joined");
    for (const text of ["one", "two", "three"]) {
      const id = await publish(server, "news", text);
      assert.equal((await stream.event("message")).data.id, id, "each is there before the next is published");
    }
  });

  test("an EventSource does not give up while nginx finds no server, and is told what may be lost", async (t) => {
    const flags = ["--feed-retry-ms", "100"];
    const server = await Server.start(t, { flags });
    const reader = await read_in_node(t, await start_in_front_of(t, server), "/events?room=news");
    await reader.receives("joined");
    const last = await publish(server, "news", "one");
    await reader.messages(1);
    await server.kill();
    for (const _ of ["the stream", "an attempt", "another one"]) await reader.receives("lost");
    const again = await Server.start(t, { port: server.port, flags });
    assert.equal((await reader.receives("gap")).after, last);
    const id = await publish(again, "news", "two");
    assert.equal((await reader.messages(1))[0].id, id);
  });

  test("a poll is held for as long as the server holds it, and not taken for a dead one", async (t) => {
    const server = await Server.start(t);
    const address = await start_in_front_of(t, server);
    const held = curl(`${address}/poll/patient?room=news`);
    const { status, body } = await soon("the poll is answered", held, 60_000);
    assert.deepEqual([status, body.data], [200, null]);
    const id = await publish(server, "news", "at last");
    const next = await curl(`${address}/poll/patient?cursor=${body.cursor}`);
    assert.equal(next.body.data.id, id);
  });

  test("plain requests, polls, streams and sends share a connection that is kept open", async (t) => {
    const server = await Server.start(t);
    const address = await start_in_front_of(t, server);
    const poll = async (query) => (await curl(`${address}/poll/phone?room=yard&user_id=ana&batch=10&timeout_s=0${query}`)).body;
    let { cursor, session_id } = await poll("");
    for (let round = 0; round < 5; round++) {
      assert.equal((await curl(`${address}/health`)).status, 200);
      const stream = new CurlStream(t, `${address}/events?room=yard`);
      await stream.event("joined");
      const sent = await curl("-d", JSON.stringify({ type: "message", room: "yard", text: `round ${round}` }), `${address}/sessions/${session_id}/send`);
      assert.equal(sent.body.type, "ack", JSON.stringify(sent.body));
      assert.equal((await stream.event("message")).data.id, sent.body.id);
      const answer = await poll(`&cursor=${cursor}`);
      assert.deepEqual(answer.data.filter(({ type }) => type === "message").map(({ id }) => id), [sent.body.id]);
      ({ cursor, session_id } = answer);
    }
  });
});
