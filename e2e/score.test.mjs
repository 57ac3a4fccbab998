// The score of the clients (clients/bench), short: a few cuts, and what must hold however short it is.

import assert from "node:assert/strict";
import { test } from "node:test";

import { score } from "../clients/bench/score.mjs";
import { faults, judge, sum } from "../clients/bench/tally.mjs";

test("clients that are cut off again and again get everything once; the textbook's do not", async (t) => {
  // A log that is never trimmed: however slow the machine is, nothing is to be told as lost.
  const flags = ["--room-history-messages", "100000"];
  const results = await score(t, { clients: 2, cuts: 2, down_ms: 500, up_ms: 2_000, rate: 10, say_ms: 500, flags });
  for (const { client, transport, ...figures } of results.filter(({ faults }) => faults !== undefined)) {
    const { cuts, due, delivered, gaps, said, acknowledged, stored } = figures;
    const who = `${client} over ${transport}: ${JSON.stringify(figures)}`;
    assert.ok(cuts > 0 && due > 0 && said > 0, who);
    assert.equal(figures.faults, 0, who);
    assert.deepEqual({ delivered, gaps, acknowledged, stored }, { delivered: due, gaps: 0, acknowledged: said, stored: said }, who);
  }
  assert.equal(results.filter(({ faults }) => faults !== undefined).length, 6);
  const lost = Object.fromEntries(results.map(({ client, transport, lost_unsaid }) => [`${client} over ${transport}`, lost_unsaid]));
  // Nothing brings back what was published while they were away: so the cuts cut, and who counts can count.
  assert.ok(lost["textbook over websocket"] > 0, JSON.stringify(lost));
  assert.ok(lost["textbook as printed over sse"] > 0, JSON.stringify(lost));
});

test("the judge sees what is lost, told, twice, out of order and stored twice", () => {
  const log = [1, 2, 3, 4, 5, 6, 7].map((id) => ({ id, text: "word", user_id: "backend" }));
  log.push({ id: 8, text: "a", user_id: "ana" }, { id: 9, text: "a", user_id: "ana" }, { id: 10, text: "c", user_id: "ana" });
  const book = {
    got: [2, 4, 3, 4, 8, 9, 10].map((id, index) => ({ id, at_ms: 10 * (index + 1) })),
    gaps: [{ after: 5, before: 7 }],
    said: new Map([
      ["a", { acknowledged: [8], refused: [] }],
      ["b", { acknowledged: [11], refused: [] }],
      ["c", { acknowledged: [9, 9], refused: [] }],
      ["d", { acknowledged: [], refused: ["closed"] }],
      ["e", { acknowledged: [], refused: [] }],
    ]),
  };
  const cuts = [{ cut_ms: 15, mended_ms: 25 }, { cut_ms: 26, mended_ms: 27 }];
  const total = sum([judge(book, "ana", log, cuts)]);
  const { due, delivered, lost_unsaid, lost_told, twice, out_of_order, gaps } = total;
  assert.deepEqual({ due, delivered, lost_unsaid, lost_told, twice, out_of_order, gaps }, { due: 9, delivered: 6, lost_unsaid: 2, lost_told: 1, twice: 1, out_of_order: 1, gaps: 1 });
  const { said, acknowledged, acknowledged_twice, wrongly_acknowledged, refused, stored, stored_twice, acknowledged_and_lost } = total;
  assert.deepEqual(
    { said, acknowledged, acknowledged_twice, wrongly_acknowledged, refused, stored, stored_twice, acknowledged_and_lost },
    { said: 5, acknowledged: 3, acknowledged_twice: 1, wrongly_acknowledged: 1, refused: 1, stored: 2, stored_twice: 1, acknowledged_and_lost: 1 },
  );
  assert.deepEqual([total.cuts, total.back_ms.p50], [1, 5], "only the first cut met a client that had come back");
  assert.equal(faults(total), 9);
});
