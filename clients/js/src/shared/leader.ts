// What the tab that has the connection does for all that share it: joins what any of them wants, says what they send, and tells
// them what it is told. Lives as long as this tab has the connection. Pure but for the machine's driver, which it is handed.
// Refuses to know who the members are beyond their names, and what becomes of what it tells.

import type { Engine } from "../driver.js";
import type { MachineEvent, StateTold, Told } from "../words.js";
import { is_own_room } from "../positions.js";
import { FORGET_MS, MEMBERS_MAX, type Entry, type GapTold, type LeadersWords, type MembersWords, type Places, type SessionTold } from "./words.js";

interface Known {
  rooms: Set<string>;
  /** How much it said. */
  said: number;
  heard_at: number;
}

export class Leader {
  #members = new Map<string, Known>();
  #told = 0;
  #state: StateTold | null = null;
  #state_at = 0;
  #session: SessionTold | null = null;

  constructor(
    private readonly epoch: number,
    private readonly engine: Engine,
    private readonly taken: { stolen: boolean; before: { epoch: number; n: number } },
    private readonly torn: () => { at_ms: number; gap: GapTold }[],
    private readonly post: (words: LeadersWords) => void,
  ) {}

  /** Asks for what all, or one, want. */
  summon(to?: string): void {
    this.post({ type: "lead", epoch: this.epoch, n: this.#told, ...this.taken, ...(to === undefined ? {} : { to }) });
  }

  /** The machine told something. */
  told(now_ms: number, event: Told): void {
    if (event.type === "state") {
      this.#state = event;
      this.#state_at = now_ms;
    }
    if (event.type === "session") this.#session = event;
    this.#tell(event);
  }

  heard(now_ms: number, words: MembersWords): void {
    const known = this.#members.get(words.tab);
    if (known) known.heard_at = now_ms;
    switch (words.type) {
      case "enroll": return this.#enroll(now_ms, words);
      case "bye": return this.#dismiss(words.tab);
      case "do": if (known?.said === words.n - 1) return this.#do(words.tab, known, words.event);
    }
    // Something that it said did not come here, and what it wants it has to say anew.
    if (known?.said !== words.n || words.type === "do") return this.summon(words.tab);
    // Its timers may run when this tab's are held back.
    this.engine.handle({ type: "tick" });
    this.post({ type: "here", epoch: this.epoch, n: this.#told, latency_ms: this.engine.latency_ms });
  }

  /** When `tick` is due. */
  get due_ms(): number {
    return Math.min(...[...this.#members.values()].map(({ heard_at }) => heard_at + FORGET_MS));
  }

  tick(now_ms: number, self: string): void {
    for (const [tab, known] of this.#members) {
      if (tab === self) known.heard_at = now_ms;
      else if (now_ms >= known.heard_at + FORGET_MS) this.#dismiss(tab);
    }
  }

  #tell(event: Told, to?: string): void {
    this.#told += 1;
    this.post({ type: "tell", epoch: this.epoch, n: this.#told, event, ...(to === undefined ? {} : { to }) });
  }

  #enroll(now_ms: number, { tab, places, entries, heard_at }: Extract<MembersWords, { type: "enroll" }>): void {
    const before = this.#members.get(tab)?.rooms;
    // A tab that was just opened is not bound by what the others were refused.
    if (!before && this.engine.machine.phase === "closed") this.engine.handle({ type: "open" });
    // The one that enrolled last is the last to be forgotten.
    this.#members.delete(tab);
    if (this.#members.size >= MEMBERS_MAX) this.#dismiss(this.#members.keys().next().value!);
    this.#members.set(tab, { rooms: new Set(Object.keys(places)), said: 0, heard_at: now_ms });
    for (const [room, after] of Object.entries(places)) this.#join(room, after);
    for (const room of before ?? []) this.#leave(room);
    this.#welcome(now_ms, tab, places, heard_at);
    for (const entry of entries) this.#take(tab, entry);
  }

  #welcome(now_ms: number, to: string, places: Places, heard_at: number): void {
    const { positions } = this.engine.machine;
    const stands_at = Object.fromEntries(Object.keys(places).filter((room) => positions.has(room)).map((room) => [room, positions.of(room)]));
    const torn = this.torn().filter(({ at_ms }) => at_ms >= heard_at).map(({ gap }) => gap);
    const state = this.#state && { ...this.#state };
    if (state?.retry_in_ms !== undefined) state.retry_in_ms = Math.max(0, state.retry_in_ms - (now_ms - this.#state_at));
    this.post({ type: "welcome", epoch: this.epoch, n: this.#told, to, state, session: this.#session, places: stands_at, torn });
  }

  /** What was said in another session may be stored already, and would be stored twice. */
  #take(tab: string, { ref, frame, said }: Entry): void {
    const is_unsure = said !== null && said.session_id !== this.engine.machine.session_id && frame.type === "message";
    if (!is_unsure) return this.engine.handle({ type: "send", ref, frame, said_at: said?.at_ms ?? null });
    this.#tell({ type: "refused", ref, code: "outcome_unknown", message: "The session ended before the answer came: it may be stored or not." }, tab);
  }

  #do(tab: string, known: Known, event: MachineEvent): void {
    const { rooms } = known;
    known.said += 1;
    switch (event.type) {
      case "join":
        rooms.add(event.room);
        // Where this is the first who wants the room, the server says that it was joined.
        const position = this.engine.machine.positions.of(event.room);
        this.#join(event.room, event.after ?? null);
        if (position !== null) this.#tell({ type: "joined", room: event.room, position }, tab);
        return;
      case "leave":
        rooms.delete(event.room);
        return this.#leave(event.room);
      default: return this.engine.handle(event);
    }
  }

  #join(room: string, after: number | null): void {
    const { positions, phase } = this.engine.machine;
    // The session is in it already, from nobody knows where on.
    if (is_own_room(room) && phase === "live") return;
    if (!positions.has(room)) this.engine.handle({ type: "join", room, after });
  }

  /** Unless another one wants it. A user's own room is left by nobody. */
  #leave(room: string): void {
    if (is_own_room(room)) return;
    for (const { rooms } of this.#members.values()) if (rooms.has(room)) return;
    this.engine.handle({ type: "leave", room });
  }

  #dismiss(tab: string): void {
    const rooms = this.#members.get(tab)?.rooms ?? [];
    this.#members.delete(tab);
    for (const room of rooms) this.#leave(room);
  }
}
