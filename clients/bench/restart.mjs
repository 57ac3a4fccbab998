// `node clients/bench/restart.mjs`: a server under load that is stopped and started again, with clients in Chromium. Tells how long it takes
// until all have everything again, how many connections a second come at most, and what was lost. docs/benchmarks.md says what the
// figures are.

import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";

import { start_chromium } from "../../e2e/browser.mjs";
import { Cable } from "../../e2e/cable.mjs";
import { start_redis } from "../../e2e/redis.mjs";
import { Server } from "../../e2e/server.mjs";
import { until } from "../../e2e/wait.mjs";
import { Page } from "./page.mjs";
import { Backend } from "./rooms.mjs";
import { Scope } from "./scope.mjs";
import { table } from "./table.mjs";
import { faults, judge, sum } from "./tally.mjs";

export const USUAL = {
  clients: 200,
  page_clients: 10,
  size: 10,
  rate: 1,
  down_ms: 1_000,
  /** What the server tells its clients when it is stopped. */
  reconnect_after_ms: 1_000,
  rounds: 5,
  engines: ["memory", "redis"],
  stops: ["SIGTERM", "SIGKILL"],
};

const DEADLINE_MS = 120_000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One round with a server of its own; gives its figures. */
export async function restart(t, browser, { engine, stop, round = 0, redis, ...wanted }) {
  const options = { ...USUAL, ...wanted };
  const around_redis = engine === "redis" ? ["--engine", "redis", "--redis", redis, "--redis-prefix", `${stop}-${round}`] : [];
  // All history is kept, so that only a restart can lose something.
  const flags = ["--room-history-messages", "100000", "--reconnect-after-ms", String(options.reconnect_after_ms), ...around_redis];
  const server = await Server.start(t, { flags });
  const gate = await Cable.lay(t, server.port);
  const seats = Array.from({ length: options.clients }, (_, seat) => `room-${Math.floor(seat / options.size)}`);
  const backend = new Backend(t, server, [...new Set(seats)], { is_patient: true });
  const pages = [];
  for (let first = 0; first < seats.length; first += options.page_clients) pages.push(await Page.open(t, browser, gate.url, seats.slice(first, first + options.page_clients)));

  let stopped_at = 0;
  const all = (what, which, last) =>
    until(what, async () => {
      await pause(50);
      const told = await Promise.all(pages.map((page) => page.progress(stopped_at, last)));
      return told.reduce((total, one) => total + one[which], 0) === seats.length;
    }, Boolean, DEADLINE_MS);
  backend.speak(options.rate);
  await all("everybody hears something", "hear");

  stopped_at = Date.now();
  const before = gate.joined_ms.length;
  await server.stop(stop);
  const ended_at = Date.now();
  await pause(options.down_ms);
  await Server.start(t, { port: server.port, flags });
  const listening_at = Date.now();
  await all("everybody is whole again", "whole");
  const connects_ms = gate.joined_ms.slice(before);
  await backend.hush();
  const last = {};
  for (const room of backend.logs.keys()) last[room] = await backend.publish(room, "the last word");
  await all("everybody has the last word", "done", last);
  await backend.copy();
  const books = (await Promise.all(pages.map((page) => page.books()))).flat();
  return { engine, stop, round, ...options, ...figures_of(books, backend, { stopped_at, ended_at, listening_at, connects_ms }) };
}

function figures_of(books, backend, { stopped_at, ended_at, listening_at, connects_ms }) {
  const total = sum(books.map((book) => judge(book, "", backend.due(book.room), [])));
  const whole = books.map(({ whole }) => whole.find((at) => at >= stopped_at)).sort((a, b) => a - b);
  const { due, delivered, delivered_percent, lost_unsaid, lost_told, twice, out_of_order, gaps } = total;
  return {
    stopping_ms: ended_at - stopped_at,
    down_for_ms: listening_at - ended_at,
    whole_p50_ms: whole[Math.floor(whole.length / 2)] - listening_at,
    whole_ms: whole.at(-1) - listening_at,
    whole_since_stop_ms: whole.at(-1) - stopped_at,
    connects: connects_ms.length,
    connects_per_second_most: most_within(connects_ms, 1_000),
    connects_per_client_second: most_within(connects_ms, 1_000) / books.length,
    resumed: books.reduce((count, { resumed }) => count + resumed, 0),
    told_a_gap: books.filter((book) => book.gaps.length > 0).length,
    due, delivered, delivered_percent, lost_unsaid, lost_told, twice, out_of_order, gaps,
    faults: faults(total),
  };
}

/** The most of these times, in order, that lie within so many milliseconds. */
export function most_within(times, ms) {
  let [first, most] = [0, 0];
  for (const [last, time] of times.entries()) {
    while (time - times[first] >= ms) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** The median of the rounds, and the least and the most. */
function spread(results, name, digits = 0) {
  const sorted = results.map((result) => result[name]).sort((a, b) => a - b);
  const [median, least, most] = [sorted[Math.floor(sorted.length / 2)], sorted[0], sorted.at(-1)].map((figure) => figure.toFixed(digits));
  return least === most ? median : `${median} (${least} to ${most})`;
}

const total = (results, name) => results.reduce((count, result) => count + result[name], 0);

const COLUMNS = {
  engine: ([{ engine }]) => engine,
  stop: ([{ stop }]) => stop,
  rounds: (results) => results.length,
  "stopping, ms": (results) => spread(results, "stopping_ms"),
  "whole after listening, ms: p50": (results) => spread(results, "whole_p50_ms"),
  "the last": (results) => spread(results, "whole_ms"),
  "after the stop": (results) => spread(results, "whole_since_stop_ms"),
  connects: (results) => spread(results, "connects"),
  "most in a second": (results) => spread(results, "connects_per_second_most"),
  "per client": (results) => spread(results, "connects_per_client_second", 2),
  due: (results) => total(results, "due"),
  "delivered %": (results) => ((100 * total(results, "delivered")) / total(results, "due")).toFixed(2),
  "lost unsaid": (results) => total(results, "lost_unsaid"),
  "lost and told": (results) => total(results, "lost_told"),
  twice: (results) => total(results, "twice"),
  "out of order": (results) => total(results, "out_of_order"),
  "clients told a gap": (results) => spread(results, "told_a_gap"),
};

async function main() {
  const names = ["clients", "page_clients", "size", "rate", "down_ms", "reconnect_after_ms", "rounds"];
  const flags = Object.fromEntries(names.map((name) => [name.replaceAll("_", "-"), { type: "string", default: String(USUAL[name]) }]));
  const lists = Object.fromEntries(["engines", "stops"].map((name) => [name, { type: "string", default: USUAL[name].join() }]));
  const { values } = parseArgs({ options: { ...flags, ...lists, json: { type: "boolean", default: false } } });
  const options = Object.fromEntries(names.map((name) => [name, Number(values[name.replaceAll("_", "-")])]));
  const [engines, stops] = [values.engines.split(","), values.stops.split(",")];
  const results = new Map(engines.flatMap((engine) => stops.map((stop) => [`${engine} ${stop}`, []])));
  await Scope.during(async (t) => {
    const redis = engines.includes("redis") ? await start_redis(t) : undefined;
    const browser = await start_chromium();
    t.after(() => browser.close());
    for (let round = 0; round < options.rounds; round += 1) {
      for (const engine of engines) {
        for (const stop of stops) {
          const result = await Scope.during((own) => restart(own, browser, { ...options, engine, stop, round, redis }));
          results.get(`${engine} ${stop}`).push(result);
          console.error(`round ${round}, ${engine}, ${stop}: whole after ${result.whole_ms} ms, ${result.connects_per_second_most} connects in a second at most, ${result.faults} faults`);
          if (values.json) console.log(JSON.stringify({ scenario: "restart", ...result }));
        }
      }
    }
  });
  if (!values.json) console.log(table(COLUMNS, [...results.values()]));
  process.exitCode = [...results.values()].flat().some((result) => result.faults > 0) ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
