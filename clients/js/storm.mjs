// Prints how a thousand clients come back from the storms of simulated/storm.mjs, as a table; each figure is the worst of so many
// seeds: `node clients/js/storm.mjs 20`.

import { CLIENTS, SCENARIOS, storm } from "./simulated/storm.mjs";

const seeds = Number(process.argv[2] ?? 10);
const percent = (share) => `${(share * 100).toFixed(1)} %`;
const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`;

console.log(`${CLIENTS.toLocaleString("en")} clients, the worst of ${seeds} seeds each.\n`);
console.log("| | attempts in 100 ms | in 1 s | in 1 s, a minute after | attempts each | closest two of one | half are back | all are back |");
console.log("|---|---|---|---|---|---|---|---|");
for (const scenario of SCENARIOS) {
  const runs = Array.from({ length: seeds }, (_, seed) => storm(seed + 1, scenario));
  const most = (name) => Math.max(...runs.map((run) => run[name]));
  const closest_ms = Math.min(...runs.map((run) => run.closest_ms));
  const cells = [
    percent(most("peak_per_bucket")), percent(most("peak_per_second")), percent(most("peak_per_second_later")), most("attempts_each").toFixed(1),
    closest_ms === Infinity ? "–" : `${closest_ms} ms`, seconds(most("half_whole_ms")), seconds(most("all_whole_ms")),
  ];
  console.log(`| ${[scenario.name, ...cells].join(" | ")} |`);
}
