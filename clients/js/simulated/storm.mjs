// A crowd of clients whose server goes away under all of them at once and comes back: as many machines, one clock, and chance from a seed.
// Counts attempts. Refuses transports: an attempt takes its time and succeeds, or it does not.

import { source } from "../tool.mjs";
import { chance, Clock } from "./chance.mjs";

const { Machine } = await source("machine.ts");

export const CLIENTS = 1_000;
const BUCKET_MS = 100;

/** `says`: the server announces its end. `takes_per_second`: so many; whoever comes beyond is refused with `refusal`. */
export const SCENARIOS = [
  { name: "killed, back after 5 s", away_ms: 5_000 },
  { name: "killed, back after 30 s", away_ms: 30_000 },
  { name: "killed, back after 2 min", away_ms: 120_000 },
  { name: "restart announced, `reconnect_after_ms` 1,000", away_ms: 1_000, says: { type: "server_restart", reconnect_after_ms: 1_000 } },
  { name: "killed, back after 5 s, takes 100 a second, else 503 and `Retry-After: 2`", away_ms: 5_000, takes_per_second: 100, refusal: { status: 503, error: "at_capacity", retry_after_ms: 2_000 } },
  { name: "killed, back after 5 s, takes 100 a second, else 1013", away_ms: 5_000, takes_per_second: 100, refusal: { code: 1013 } },
];

class Crowd {
  clock = new Clock(0);
  /** When each attempt was made, by all. */
  attempts = [];
  is_up = true;
  members = [];
  #taken = [];

  constructor(seed, { takes_per_second = Infinity, refusal }) {
    this.random = chance(seed);
    this.takes_per_second = takes_per_second;
    this.refusal = refusal;
  }

  /** Whether one more is taken, counted in seconds as a server with a bucket for each does. */
  has_room() {
    const second = Math.floor(this.clock.now / 1_000);
    this.#taken[second] ??= 0;
    return this.#taken[second] < this.takes_per_second && (this.#taken[second] += 1) > 0;
  }
}

class Member {
  attempts = [];
  whole_at = null;
  #disarm = () => {};

  constructor(crowd) {
    this.crowd = crowd;
    this.machine = new Machine({}, crowd.random, (command) => this.#obey(command));
  }

  handle(event) {
    this.machine.handle(this.crowd.clock.now, event);
    this.#disarm();
    if (this.machine.due_ms < Infinity) this.#disarm = this.crowd.clock.at(this.machine.due_ms, () => this.handle({ type: "tick" }));
  }

  #obey(command) {
    const { crowd } = this;
    const soon = (act) => crowd.clock.after(1 + Math.floor(crowd.random() * 30), act);
    if (command.do === "connect") {
      this.attempts.push(crowd.clock.now);
      crowd.attempts.push(crowd.clock.now);
      soon(() => this.#answer());
    } else if (command.frame?.type === "restart_ack") {
      soon(() => this.handle({ type: "lost", code: 1012 }));
    } else if (command.frame?.type === "ping") {
      soon(() => crowd.is_up && this.handle({ type: "frame", frame: { type: "pong" } }));
    }
  }

  #answer() {
    const { crowd } = this;
    if (!crowd.is_up) return this.handle({ type: "lost", code: 1006 });
    if (!crowd.has_room()) return this.handle({ type: "lost", ...crowd.refusal });
    this.whole_at = crowd.clock.now;
    this.handle({ type: "frame", frame: { type: "session", session_id: "s", rooms: [], resumed: true, ping_interval_ms: 25_000 } });
  }
}

/** What became of a crowd: attempts as shares of it, times in milliseconds. */
export function storm(seed, scenario) {
  const crowd = new Crowd(seed, { ...scenario, takes_per_second: Infinity });
  const members = Array.from({ length: CLIENTS }, () => new Member(crowd));
  for (const member of members) member.handle({ type: "open" });
  crowd.clock.run(20_000);
  for (const member of members) Object.assign(member, { whole_at: null, attempts: [] });
  crowd.attempts = [];
  crowd.takes_per_second = scenario.takes_per_second ?? Infinity;
  const began_at = crowd.clock.now;
  crowd.is_up = false;
  for (const member of members) member.handle(scenario.says ? { type: "frame", frame: scenario.says } : { type: "lost", code: 1006 });
  crowd.clock.run(scenario.away_ms);
  crowd.is_up = true;
  crowd.clock.run(180_000);
  const back_at = began_at + scenario.away_ms;
  const gaps = members.flatMap(({ attempts }) => attempts.slice(1).map((at, index) => at - attempts[index]));
  const whole = members.map(({ whole_at }) => (whole_at === null ? Infinity : whole_at - back_at)).sort((one, other) => one - other);
  return {
    peak_per_second: peak(crowd.attempts, 1_000),
    peak_per_bucket: peak(crowd.attempts, BUCKET_MS),
    peak_per_second_later: peak(crowd.attempts.filter((at) => at >= began_at + 60_000), 1_000),
    attempts_each: crowd.attempts.length / CLIENTS,
    closest_ms: Math.min(...gaps, Infinity),
    first_at_ms: Math.min(...crowd.attempts) - began_at,
    half_whole_ms: whole[CLIENTS / 2],
    all_whole_ms: whole.at(-1),
  };
}

/** The largest share of the crowd that makes an attempt within so long, wherever that begins. */
function peak(attempts, window_ms) {
  const times = attempts.toSorted((one, other) => one - other);
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last += 1) {
    while (times[last] - times[first] >= window_ms) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most / CLIENTS;
}
