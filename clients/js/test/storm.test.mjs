// A thousand clients that lose their server at once come back spread out, and all of them do. The bounds follow from full jitter as
// docs/client-spec.md has it, and five standard deviations for a crowd of that size.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CLIENTS, SCENARIOS, storm } from "../simulated/storm.mjs";

const SEEDS = [1, 2, 3];
const LEAST_MS = 100;
const LONGEST_MS = 30_000;
const ATTEMPT_MS = 100;

/** A share of the crowd that is not exceeded if so many are expected. */
const at_most = (share) => share + 5 * Math.sqrt((share * Math.max(1 - share, 0.1)) / CLIENTS);

// All draw from one second and none below 0.1 s: a tenth more begins at once.
const FIRST_BUCKET = 0.2;
// The first pause is over within a second; so is the second for those whose draws from 1 s and 2 s add up to less: a quarter. And so on.
const FIRST_SECOND = 1 + 1 / 4 + 1 / 48 + 1 / 1_536;
// Later, pauses of 15 s on average.
const LATER_SECOND = 1_000 / (LONGEST_MS / 2);

for (const scenario of SCENARIOS) {
  test(`a storm: ${scenario.name}`, () => {
    for (const seed of SEEDS) {
      const found = storm(seed, scenario);
      const where = `seed ${seed}: ${JSON.stringify(found)}`;
      assert.ok(found.all_whole_ms < Infinity, `all are back: ${where}`);
      assert.ok(found.closest_ms >= LEAST_MS, `no tight loop: ${where}`);
      assert.ok(found.peak_per_bucket <= at_most(scenario.says ? 0.1 : FIRST_BUCKET), `spread within the first second: ${where}`);
      assert.ok(found.peak_per_second <= at_most(FIRST_SECOND), `spread over seconds: ${where}`);
      // The greatest of a minute's windows, not one of them.
      assert.ok(found.peak_per_second_later <= 1.5 * at_most(LATER_SECOND), `few at a time later: ${where}`);
      if (scenario.says) assert.ok(found.first_at_ms >= scenario.says.reconnect_after_ms, `not before the server said: ${where}`);
      if (!scenario.takes_per_second) assert.ok(found.all_whole_ms <= LONGEST_MS + ATTEMPT_MS, `within the longest pause: ${where}`);
      // Who is refused once more draws from at most the longest pause each time.
      else assert.ok(found.all_whole_ms >= (CLIENTS / scenario.takes_per_second - 1) * 1_000, `not more at a time than are taken: ${where}`);
    }
  });
}
