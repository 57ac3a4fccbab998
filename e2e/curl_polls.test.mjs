// Long polls and sends by curl: what a script without any library does.

import assert from "node:assert/strict";
import { test } from "node:test";

import { curl } from "./curl.mjs";
import { publish, publish_all } from "./publish.mjs";
import { Server } from "./server.mjs";
import { until } from "./wait.mjs";

const ids_of = (frames) => frames.map(({ id }) => id);

/** Waits until so many polls have begun to wait since the start. */
const polls_have_begun = (server, count) =>
  until(`${count} polls have begun`, async () => {
    const { body } = await curl(`${server.url}/metrics`);
    const opened = [...body.matchAll(/^tidings_polls_opened_total\{.*} (\d+)$/gm)];
    return opened.reduce((sum, [, number]) => sum + Number(number), 0) >= count;
  });

for (const [version, flags] of [["HTTP/1.1", ["--http1.1"]], ["HTTP/2", ["--http2-prior-knowledge"]]]) {
  test(`polls over ${version} with a cursor read a room to its end and then wait`, async (t) => {
    const server = await Server.start(t);
    const ids = await publish_all(server, "news", ["1", "2", "3", "4", "5"]);
    const poll = (query) => curl(...flags, `${server.url}/poll/script?room=news&${query}`);

    const first = await poll(`cursor=${ids[0]}&batch=3`);
    assert.equal(first.status, 200);
    assert.deepEqual(ids_of(first.body.data), ids.slice(1, 4));
    assert.match(first.body.session_id, /^[0-9a-f]{32}$/);
    const single = await poll(`cursor=${first.body.cursor}`);
    assert.equal(single.body.data.id, ids[4]);
    const waited = await poll(`cursor=${single.body.cursor}&timeout_s=0`);
    assert.deepEqual([waited.body.data, waited.body.cursor], [null, single.body.cursor]);

    const held = poll(`cursor=${waited.body.cursor}&batch=10`);
    await polls_have_begun(server, 4);
    const id = await publish(server, "news", "6");
    assert.deepEqual(ids_of((await held).body.data), [id]);
  });

  test(`whoever polls speaks over ${version} by POST, and hears itself`, async (t) => {
    const server = await Server.start(t);
    const poll = (query) => curl(...flags, `${server.url}/poll/ana-phone?user_id=ana&batch=10&timeout_s=0${query}`);
    const { body } = await poll("&room=yard");
    const send = (frame) => curl(...flags, "-d", JSON.stringify(frame), `${server.url}/sessions/${body.session_id}/send`);

    const said = await send({ type: "message", room: "yard", text: "Hello", ref: "1" });
    assert.deepEqual([said.status, said.body.type, said.body.ref], [200, "ack", "1"]);
    const repeated = await send({ type: "message", room: "yard", text: "Hello", ref: "1" });
    assert.equal(repeated.body.id, said.body.id, "the same ref is stored once");
    const typing = await send({ type: "typing_start", room: "yard" });
    assert.deepEqual([typing.status, typing.body], [204, ""]);
    assert.equal((await send({ type: "join", room: "porch" })).body.type, "joined");
    const elsewhere = await publish(server, "porch", "in the other room");

    const { data } = (await poll(`&cursor=${body.cursor}`)).body;
    assert.deepEqual(data.map(({ room, id, user_id }) => [room, id, user_id]), [["yard", said.body.id, "ana"], ["porch", elsewhere, undefined]]);

    const unknown = await send({ type: "dance" });
    assert.deepEqual([unknown.status, unknown.body.type, unknown.body.code], [400, "error", "unknown_type"]);
  });
}

test("a newer poll of the same client ends the one before", async (t) => {
  const server = await Server.start(t);
  const poll = () => curl(`${server.url}/poll/twice?room=news`);
  const older = poll();
  await polls_have_begun(server, 1);
  const newer = poll();
  const answer = await older;
  assert.deepEqual([answer.status, answer.body.code], [409, "superseded"]);
  await polls_have_begun(server, 2);
  const id = await publish(server, "news", "for the newer one");
  assert.equal((await newer).body.data.id, id);
});

test("a session that is not known is told apart, and a cursor of other rooms is refused", async (t) => {
  const server = await Server.start(t);
  const unknown = await curl("-d", '{"type":"ping"}', `${server.url}/sessions/${"0".repeat(32)}/send`);
  assert.deepEqual([unknown.status, unknown.body.type, unknown.body.code], [404, "error", "session_unknown"]);
  const other = await curl(`${server.url}/poll/me?room=a&room=b&cursor=12`);
  assert.deepEqual([other.status, other.body.type, other.body.code], [400, "error", "bad_cursor"]);
});
