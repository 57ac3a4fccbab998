// Tabs that share a connection come, go, crash and freeze as a seed decides; what each application was told is then compared with what
// the server stored. `SEEDS=from-to` runs others.

import { test } from "node:test";

import { live_through } from "../simulated/life.mjs";

const [FIRST, LAST] = (process.env.SEEDS ?? "1-100").split("-").map(Number);
test("tabs that come, go, crash and freeze are told every message once, in order, or of a gap; and send each once", () => {
  for (let seed = FIRST; seed <= LAST; seed += 1) live_through(seed, { kept: Infinity });
});

test("also when the rooms keep little", () => {
  for (let seed = FIRST; seed <= LAST; seed += 1) live_through(seed, { kept: 8 });
});
