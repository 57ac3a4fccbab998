// Event streams by curl, line by line, over HTTP/1.1 and over HTTP/2 without TLS.

import assert from "node:assert/strict";
import { test } from "node:test";

import { curl, CurlStream } from "./curl.mjs";
import { publish, publish_all } from "./publish.mjs";
import { Server } from "./server.mjs";
import { soon } from "./wait.mjs";

for (const [version, flags] of [["HTTP/1.1", ["--http1.1"]], ["HTTP/2", ["--http2-prior-knowledge"]]]) {
  test(`a stream over ${version} has the documented lines`, async (t) => {
    const server = await Server.start(t, { flags: ["--node", "n1"] });
    const stream = new CurlStream(t, ...flags, `${server.url}/events?room=news`);
    assert.equal(await stream.block(), "retry: 5000");
    const session = /^event: session\ndata: {"type":"session","session_id":"[0-9a-f]{32}","rooms":\["news"],"resumed":false,"ping_interval_ms":25000,"node":"n1"}$/;
    assert.match(await stream.block(), session);
    const [, position] = /^event: joined\ndata: {"type":"joined","room":"news","last_message_id":(\d+)}$/.exec(await stream.block());
    assert.equal(await stream.block(), `id: ${position}`);
    const id = await publish(server, "news", "Hello, everyone");
    assert.equal(await stream.block(), `id: ${id}\nevent: message\ndata: {"type":"message","room":"news","id":${id},"text":"Hello, everyone"}`);
  });

  test(`Last-Event-ID over ${version} brings what was missed, once`, async (t) => {
    const server = await Server.start(t);
    const ids = await publish_all(server, "news", ["seen", "missed", "missed too"]);
    for (const way of [["--header", `Last-Event-ID: ${ids[0]}`, `${server.url}/events?room=news`], [`${server.url}/events?room=news&last_event_id=${ids[0]}`]]) {
      const stream = new CurlStream(t, ...flags, ...way);
      assert.equal((await stream.event("joined")).data.recovered, true);
      for (const id of ids.slice(1)) {
        const message = await stream.event("message");
        assert.deepEqual([message.id, message.data.id], [String(id), id]);
      }
      const live = await publish(server, "news", "live");
      assert.equal((await stream.event("message")).data.id, live);
      assert.ok(!stream.rest.some((block) => /^event: (message|gap)$/m.test(block)), String(stream.rest));
      ids.push(live);
    }
  });

  test(`a user who is disconnected is told so at the end of a stream over ${version}`, async (t) => {
    const server = await Server.start(t);
    const stream = new CurlStream(t, ...flags, `${server.url}/events?room=news&user_id=ana`);
    await stream.event("joined");
    await curl("-X", "DELETE", `${server.url}/users/ana/sessions`);
    const { type, code, reconnect } = (await stream.event("close")).data;
    assert.deepEqual({ type, code, reconnect }, { type: "close", code: 1008, reconnect: false });
    assert.equal(await soon("curl ends", stream.ended), 0, "the stream ended as HTTP has it");
  });
}

test("a stopping server says on the stream when to come back, and ends it", async (t) => {
  const server = await Server.start(t);
  const stream = new CurlStream(t, `${server.url}/events?room=dock`);
  await stream.event("joined");
  const stopped = server.stop();
  assert.equal((await stream.event("server_restart")).data.reconnect_after_ms, 1000);
  assert.equal(await soon("curl ends", stream.ended), 0);
  assert.equal(await stopped, 0);
});

test("data in several lines keeps its lines", async (t) => {
  const server = await Server.start(t);
  const stream = new CurlStream(t, `${server.url}/events?room=news`);
  await stream.event("joined");
  await curl("-H", "content-type: application/json", "-d", '{"data": {\n  "loaves": 12\n}}', `${server.url}/rooms/news/messages`);
  const { lines, data } = await stream.event("message");
  assert.deepEqual(data.data, { loaves: 12 });
  assert.deepEqual(lines.slice(-2), ['data:   "loaves": 12', "data: }}"]);
});

test("a stream that cannot begin is refused with the reason", async (t) => {
  const server = await Server.start(t);
  for (const [status, code, query] of [[400, "bad_cursor", "room=a&room=b&last_event_id=12"], [400, "bad_room", "room="]]) {
    const answer = await curl(`${server.url}/events?${query}`);
    assert.deepEqual([answer.status, answer.body.code], [status, code]);
    assert.ok(answer.body.message, "the answer says what happened");
  }
});
