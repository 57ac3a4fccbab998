// A server under load that is restarted (clients/bench/restart.mjs), small: every client comes back, has everything once, and is told a gap exactly
// where the history is gone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { most_within, restart } from "../clients/bench/restart.mjs";
import { start_chromium } from "./browser.mjs";
import { start_redis } from "./redis.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

const small = { clients: 20, down_ms: 200, rate: 5 };

for (const stop of ["SIGTERM", "SIGKILL"]) {
  test(`a server with its history in memory is restarted by ${stop}: all come back, and all are told a gap`, async (t) => {
    const { due, delivered, lost_told, told_a_gap, ...figures } = await restart(t, browser, { ...small, engine: "memory", stop });
    assert.equal(figures.faults, 0, JSON.stringify(figures));
    assert.ok(due > 0);
    assert.equal(delivered + lost_told, due);
    assert.equal(told_a_gap, small.clients);
  });

  test(`a server around Redis is restarted by ${stop}: all come back by their sessions, and miss nothing`, async (t) => {
    const { due, delivered, told_a_gap, resumed, ...figures } = await restart(t, browser, { ...small, engine: "redis", stop, redis: await start_redis(t) });
    assert.equal(figures.faults, 0, JSON.stringify(figures));
    assert.ok(due > 0);
    assert.equal(delivered, due);
    assert.equal(told_a_gap, 0);
    assert.ok(resumed >= small.clients, JSON.stringify({ resumed }));
  });
}

test("the most connections within a second are counted wherever the second begins", () => {
  assert.equal(most_within([], 1_000), 0);
  assert.equal(most_within([0, 900, 1_000, 1_500, 1_899, 5_000], 1_000), 4);
});
