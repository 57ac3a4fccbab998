// A tab among those that share a connection: it has the connection while it holds the lock, and else hears what the one that has it
// tells. When that one goes, the lock comes here; when it is silent for too long, the lock is taken from it. Pure: time, chance,
// channel and lock are its surroundings', so that a simulation can be these. Refuses to know what a browser is.

import type { Engine } from "../driver.js";
import type { MachineEvent, MachineOptions, StateTold, Told } from "../words.js";
import { random_hex } from "../random.js";
import { Leader } from "./leader.js";
import { Member } from "./member.js";
import { ANSWER_MS, COUNCIL_MS, LATE_MS, OUTRUN_MS, SIGN_OF_LIFE_MS, SILENCE_MS, type LeadersWords, type MembersWords, type Words } from "./words.js";

export interface Surroundings {
  now(): number;
  random(): number;
  /** Says it to all other tabs. */
  post(words: Words): void;
  /** `request`: `granted` is called once nobody else holds it. `steal`: soon. `release`: it is given up, or not wanted any more. */
  lock(how: "request" | "steal" | "release"): void;
  /** `tick` is called then, and at no time that was named before. */
  alarm(at_ms: number): void;
  /** Makes a connection's machine and what drives it. */
  drive(machine: Partial<MachineOptions>, tell: (event: Told) => void): Engine;
}

/** `away`: not open, or frozen. */
export type Role = "away" | "follower" | "leader";

export class Tab {
  readonly id = random_hex();
  readonly member: Member;
  role: Role = "away";
  #is_open = false;
  #engine: Engine | null = null;
  #leader: Leader | null = null;
  #latency_ms: number | null = null;

  /** The one that has the connection, as far as this tab knows. */
  #epoch = 0;
  #told = 0;
  #is_enrolled = false;
  #said = 0;
  #heard_at = 0;
  #asked_at = 0;
  #ask_at = Infinity;
  #steal_at = Infinity;
  #was_late = false;
  #is_stealing = false;
  #request_at = Infinity;
  #lead_at = Infinity;
  /** It was away, and what was said meanwhile is lost. */
  #is_back = false;
  /** When the machine is opened that was made for all. */
  #begin_at = Infinity;
  #retry_at = Infinity;
  /** The epoch in which the server said that the session belongs to a newer connection. */
  #outrun_epoch = -1;

  constructor(
    private readonly around: Surroundings,
    entries_max: number,
    tell: (event: Told) => void,
  ) {
    this.member = new Member(entries_max, random_hex, tell, (event) => this.#forward(event));
  }

  get latency_ms(): number | null {
    return this.#engine ? this.#engine.latency_ms : this.#latency_ms;
  }

  position(room: string): number | null {
    return this.member.positions.of(room);
  }

  /** What the application says. */
  handle(event: MachineEvent): void {
    switch (event.type) {
      case "open": this.#is_open ? this.#forward(event) : this.#open(); break;
      case "close": this.#close(); break;
      case "join": this.member.join(event.room, event.after ?? null); break;
      case "leave": this.member.leave(event.room); break;
      case "send": this.member.send(this.around.now(), event.ref, event.frame); break;
      default: this.#forward(event);
    }
    this.#plan();
  }

  // --- what the surroundings say

  granted(): void {
    // What the one before said last may still come, and says what it had done.
    this.#steal_at = Infinity;
    if (this.role === "follower") this.#epoch === 0 ? this.#lead() : (this.#lead_at = this.around.now() + COUNCIL_MS);
    else if (this.role === "away") this.around.lock("release");
    this.#plan();
  }

  /** Another tab took the lock: this one was silent for too long. */
  robbed(): void {
    if (this.role === "leader" || this.#lead_at < Infinity) this.#follow();
    this.#plan();
  }

  /** The page is put away, for now or for ever: what it has, another one can use. */
  freeze(): void {
    if (this.role === "away") return;
    this.#post({ type: "bye", tab: this.id });
    this.#step_down("away");
    this.around.lock("release");
    this.#plan();
  }

  resume(): void {
    if (this.#is_open && this.role === "away") {
      this.#is_back = true;
      this.#follow();
    }
    this.#plan();
  }

  heard(words: Words): void {
    if (this.role === "away") return;
    if ("epoch" in words) this.#listen(words);
    else this.#leader?.heard(this.around.now(), words);
    this.#plan();
  }

  tick(): void {
    const now = this.around.now();
    if (this.role === "leader") {
      this.#leader!.tick(now, this.id);
      if (now >= this.#begin_at) this.#begin();
    } else if (this.role === "follower") {
      if (now >= this.#lead_at) return this.#lead(), this.#plan();
      if (now >= this.#request_at) this.#request();
      if (now >= this.#steal_at) this.#steal(now);
      else if (now >= this.#ask_at || now >= this.#retry_at) this.#ask(now);
    }
    this.#plan();
  }

  // --- coming and going

  #open(): void {
    this.#is_open = true;
    if (this.member.state?.state === "closed") this.member.state = null;
    this.#follow();
  }

  #close(): void {
    // What was not said yet is not said any more.
    for (const { ref } of this.member.entries()) this.#forward({ type: "withdraw", ref });
    this.freeze();
    this.#is_open = false;
    this.member.close();
  }

  #follow(): void {
    this.#step_down("follower");
    this.#request();
    this.#ask(this.around.now());
  }

  #request(): void {
    this.#request_at = Infinity;
    this.#is_stealing = false;
    this.around.lock("request");
  }

  #step_down(role: Role): void {
    const engine = this.#engine;
    this.role = role;
    this.#leader = this.#engine = null;
    this.#is_enrolled = false;
    this.#begin_at = this.#lead_at = this.#ask_at = this.#steal_at = this.#request_at = this.#retry_at = Infinity;
    // Nobody is told of this any more.
    engine?.handle({ type: "close" });
  }

  #steal(now: number): void {
    // The answer may be there, behind this call. Who is late again has timers that are held back, and hears what is said.
    if (now >= this.#steal_at + LATE_MS && !this.#was_late) {
      this.#ask(now);
      this.#was_late = true;
      return;
    }
    this.#steal_at = Infinity;
    this.#is_stealing = true;
    this.around.lock("steal");
  }

  /** Has the connection from now on, for all. What the others want, they say when they hear of it. */
  #lead(): void {
    const now = this.around.now();
    const { member } = this;
    const is_first = this.#epoch === 0;
    const { state, session } = member;
    this.role = "leader";
    this.#lead_at = this.#ask_at = this.#steal_at = this.#request_at = Infinity;
    // The newer connection is nobody's here: the session is left to it.
    const session_id = this.#epoch === this.#outrun_epoch ? null : (session?.session_id ?? null);
    const taken = { stolen: this.#is_stealing, before: { epoch: this.#epoch, n: this.#told } };
    this.#epoch = Math.max(this.#epoch + 1, now);
    const machine = { rooms: member.places(), session_id, remembered: state?.transport ?? null };
    const engine = this.around.drive(machine, (event) => this.#engine === engine && this.#machine_told(event));
    this.#engine = engine;
    this.#leader = new Leader(this.#epoch, engine, taken, () => member.torn, (words) => this.#post(words));
    this.#told = 0;
    this.#leader.summon();
    this.#enroll(taken.stolen);
    this.#is_stealing = false;
    // A pause that the server asked for, or that is there for the others' sake, is not over because a tab was closed.
    this.#begin_at = Math.max(is_first ? now : now + COUNCIL_MS, this.#retry_at < Infinity ? this.#retry_at : 0);
    this.#retry_at = Infinity;
    if (now >= this.#begin_at) this.#begin();
  }

  #begin(): void {
    this.#begin_at = Infinity;
    this.#engine!.handle({ type: "open" });
  }

  #machine_told(event: Told): void {
    const now = this.around.now();
    const is_outrun = event.type === "state" && event.state === "closed" && (event.code === 4000 || event.code === "superseded");
    if (!is_outrun) return this.#leader!.told(now, event);
    // Another tab has the session, and this one had not heard of it yet.
    this.#outrun_epoch = this.#epoch;
    this.#step_down("follower");
    this.around.lock("release");
    this.#request_at = now + OUTRUN_MS;
    this.#ask_at = now;
    this.#plan();
  }

  // --- what is said

  #forward(event: MachineEvent): boolean {
    return this.#say({ type: "do", tab: this.id, n: (this.#said += 1), event });
  }

  /** To the one that has the connection. Without one it is not lost: what matters is said when one is found. */
  #say(words: MembersWords): boolean {
    if (this.#leader) this.#leader.heard(this.around.now(), words);
    else if (this.#is_enrolled) this.around.post(words);
    return this.#is_enrolled;
  }

  #post(words: Words): void {
    this.around.post(words);
    if (this.#leader && "epoch" in words && words.type !== "lead") this.#listen(words);
  }

  #enroll(missed: boolean): void {
    const now = this.around.now();
    this.#is_enrolled = true;
    this.#said = 0;
    const entries = this.member.hand_over(now, missed || this.#is_back || now > this.#heard_at + SILENCE_MS + LATE_MS);
    this.#is_back = false;
    this.#say({ type: "enroll", tab: this.id, places: this.member.places(), entries, heard_at: this.#heard_at || Infinity });
  }

  #ask(now: number): void {
    this.#asked_at = now;
    this.#ask_at = this.#retry_at = Infinity;
    this.#steal_at = now + ANSWER_MS + Math.floor(this.around.random() * ANSWER_MS / 4);
    this.around.post({ type: "ask", tab: this.id, n: this.#said });
  }

  // --- what is heard

  #listen(words: LeadersWords): void {
    if (words.epoch < this.#epoch) return;
    const is_other = words.epoch > this.#epoch;
    if (is_other && (this.#leader || this.#lead_at < Infinity)) this.#follow();
    const now = this.around.now();
    this.#steal_at = Infinity;
    this.#was_late = false;
    this.#ask_at = Math.min(now + SILENCE_MS, this.#asked_at + SIGN_OF_LIFE_MS);
    const has_hole = is_other ? this.#has_missed(words) : words.n !== this.#told + (words.type === "tell" ? 1 : 0);
    const is_asked = words.type === "lead" && (words.to ?? this.id) === this.id;
    this.#epoch = words.epoch;
    this.#told = words.n;
    if (is_other || has_hole || is_asked || !this.#is_enrolled) this.#enroll(has_hole);
    this.#heard_at = now;
    if ("to" in words && words.to !== this.id) return;
    if (words.type === "here") this.#latency_ms = words.latency_ms;
    if (words.type === "welcome") {
      if (words.state) this.#note(now, words.state);
      this.member.welcome(now, words);
    } else if (words.type === "tell") {
      if (words.event.type === "state") this.#note(now, words.event);
      this.member.told(now, words.event);
    }
  }

  /** Whether this tab may not have heard all of the one that had the connection before, or that one was not heard by all. */
  #has_missed(words: LeadersWords): boolean {
    if (words.type !== "lead") return true;
    const { stolen, before } = words;
    return stolen || before.epoch > this.#epoch || (before.epoch === this.#epoch && before.n > this.#told);
  }

  #note(now: number, { retry_in_ms }: StateTold): void {
    this.#retry_at = retry_in_ms === undefined ? Infinity : now + retry_in_ms;
  }

  #plan(): void {
    const led = (): number => Math.min(this.#leader!.due_ms, this.#begin_at);
    const followed = (): number => Math.min(this.#lead_at, this.#ask_at, this.#steal_at, this.#request_at, this.#retry_at);
    this.around.alarm(this.role === "away" ? Infinity : this.role === "leader" ? led() : followed());
  }
}
