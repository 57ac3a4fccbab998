// `node clients/bench/score.mjs`: clients that are cut off again and again while messages flow, ours beside the textbook's, behind the same
// proxy and the same cuts. Tells what share of the messages each got, and what became of what it sent itself. docs/benchmarks.md
// says what the figures are.

import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";

import { Server } from "../../e2e/server.mjs";
import { until } from "../../e2e/wait.mjs";
import { chance } from "../js/simulated/chance.mjs";
import { Contestant, KINDS } from "./contestant.mjs";
import { Seat } from "./cuts.mjs";
import { Backend } from "./rooms.mjs";
import { Scope } from "./scope.mjs";
import { table } from "./table.mjs";
import { faults, judge, sum } from "./tally.mjs";

export const USUAL = {
  clients: 10,
  cuts: 20,
  down_ms: 2_000,
  up_ms: 8_000,
  rate: 2,
  say_ms: 2_000,
  transports: ["websocket", "sse", "poll"],
  kinds: Object.keys(KINDS),
  seed: 1,
  /** For the server. */
  flags: [],
};

const DEADLINE_MS = 120_000;
const rest = () => new Promise((resolve) => setTimeout(resolve, 20));

/** Runs it; gives a result `{client, transport, …}` for each kind of client and transport. */
export async function score(t, { say = () => {}, ...wanted } = {}) {
  const options = { ...USUAL, ...wanted };
  const server = await Server.start(t, { flags: options.flags });
  const seats = Array.from({ length: options.clients }, () => new Seat());
  const room_of = (seat, transport) => `${transport}-${seat}`;
  const rooms = options.transports.flatMap((transport) => seats.map((_, seat) => room_of(seat, transport)));
  const backend = new Backend(t, server, rooms);
  const contestants = [];
  for (const transport of options.transports) {
    for (const kind of options.kinds.filter((name) => KINDS[name].transports.includes(transport))) {
      const places = [];
      for (const [seat, one] of seats.entries()) {
        const url = await one.add_cable(t, server.port);
        places.push({ url, room: room_of(seat, transport), name: `${kind.replaceAll(" ", "-")}-${seat}` });
      }
      contestants.push(new Contestant(t, kind, transport, places, options.say_ms));
    }
  }
  const books = (whose = () => true) => contestants.filter(whose).flatMap((contestant) => contestant.books);
  const all_are = (what, fits, whose) =>
    until(what, async () => {
      for (const contestant of contestants) contestant.check();
      await rest();
      return books(whose).every(fits);
    }, Boolean, DEADLINE_MS);

  backend.speak(options.rate);
  await all_are("everybody hears something", ({ got }) => got.length > 0);
  say(`${books().length} clients are there`);
  const random = chance(options.seed);
  const began_ms = performance.now();
  await Promise.all(seats.map(async (seat) => {
    await seat.suffer(options.cuts, { ...options, random });
    say(`a seat has had its ${options.cuts} cuts after ${Math.round((performance.now() - began_ms) / 1_000)} s`);
  }));

  // Messages flow until everybody is back who comes back at all; then what is under way is waited for.
  const comes_back = ({ gives_up }) => !gives_up;
  const mended_ms = performance.now();
  await all_are("everybody is back", ({ got }) => got.at(-1).at_ms > mended_ms, comes_back);
  for (const contestant of contestants) contestant.hush();
  await all_are("all that was said is answered", (book) => book.is_answered, ({ is_ours }) => is_ours);
  await backend.hush();
  const last = new Map();
  for (const room of rooms) last.set(room, await backend.publish(room, "the last word"));
  for (const contestant of contestants.filter(comes_back)) {
    const has_last = (book, seat) => book.got.some(({ id }) => id === last.get(contestant.seats[seat].room));
    await until(`${contestant.kind} over ${contestant.transport} has the last word`, () => rest().then(() => contestant.books.every(has_last)), Boolean, DEADLINE_MS);
  }
  await backend.copy();
  return contestants.map(({ kind, transport, seats: places, books: seen, is_ours = false }) => {
    const figures = places.map(({ room, name }, seat) => judge(seen[seat], name, backend.logs.get(room), seats[seat].cuts));
    const total = sum(figures);
    return { client: kind, transport, clients: places.length, ...total, ...(is_ours ? { faults: faults(total) } : {}) };
  });
}

const WHO = { client: ({ client }) => client, transport: ({ transport }) => transport };

const RECEIVED = {
  ...WHO,
  cuts: ({ cuts }) => cuts,
  due: ({ due }) => due,
  "delivered %": ({ delivered_percent }) => delivered_percent?.toFixed(2),
  "lost unsaid": ({ lost_unsaid }) => lost_unsaid,
  "lost and told": ({ lost_told }) => lost_told,
  twice: ({ twice }) => twice,
  "out of order": ({ out_of_order }) => out_of_order,
  "gaps told": ({ gaps }) => gaps,
  "back after, ms: p50": ({ back_ms }) => back_ms.p50,
  p95: ({ back_ms }) => back_ms.p95,
};

const SENT = {
  ...WHO,
  said: ({ said }) => said,
  acknowledged: ({ acknowledged }) => acknowledged,
  refused: ({ refused }) => refused,
  stored: ({ stored }) => stored,
  "stored twice": ({ stored_twice }) => stored_twice,
  "acknowledged, not stored": ({ acknowledged_and_lost }) => acknowledged_and_lost,
};

async function main() {
  const number = (name) => ({ type: "string", default: String(USUAL[name]) });
  const { values } = parseArgs({
    options: {
      clients: number("clients"), cuts: number("cuts"), "down-ms": number("down_ms"), "up-ms": number("up_ms"), rate: number("rate"), "say-ms": number("say_ms"), seed: number("seed"),
      transports: { type: "string", default: USUAL.transports.join() },
      kinds: { type: "string", default: USUAL.kinds.join() },
      json: { type: "boolean", default: false },
    },
  });
  const { transports, kinds, json, ...numbers } = values;
  const options = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name.replaceAll("-", "_"), Number(value)]));
  const say = (line) => console.error(line);
  const results = await Scope.during((t) => score(t, { ...options, transports: transports.split(","), kinds: kinds.split(","), say }));
  if (json) for (const result of results) console.log(JSON.stringify({ scenario: "score", ...options, ...result }));
  else console.log(`${table(RECEIVED, results)}\n\n${table(SENT, results.filter(({ said }) => said > 0))}`);
  process.exitCode = results.some((result) => result.faults > 0) ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
