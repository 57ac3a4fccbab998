// One of the tabs that share a connection: its own rooms, its own positions, and what it sent and has no answer to. Pure: what the
// tab with the connection tells comes in, what the application is told goes out. What does not continue where this tab stands it
// reads from the room's history first. Refuses to know which tab has the connection, be it this one.

import type { ClientFrame, ServerFrame } from "../frames.js";
import { is_loss } from "../history.js";
import type { MachineEvent, StateTold, Told } from "../words.js";
import { is_own_room, Positions } from "../positions.js";
import { HELD_MAX, PAGE_MESSAGES, TORN_MAX, type Entry, type GapTold, type LeadersWords, type Places, type SessionTold } from "./words.js";

type Placed = Extract<Told, { type: "message" | "restored" | "gap" | "joined" }>;

/** A room whose history is being read; what comes meanwhile waits. */
interface Reading {
  ref: string;
  /** From where on messages follow; `null` if that is not known. */
  end: number | null;
  recovered: boolean;
  held: Placed[];
}

export class Member {
  readonly positions = new Positions();
  state: StateTold | null = null;
  session: SessionTold | null = null;
  /** Losses, and when they were told to all: a tab that was not there asks for them. */
  torn: { at_ms: number; gap: GapTold }[] = [];
  #entries = new Map<string, Entry>();
  #readings = new Map<string, Reading>();
  /** The rooms of which the application knows that it is in. */
  #joined = new Set<string>();
  /** How many messages came late since a room was restored last, and where this tab stood before these, or those before. */
  #recovered = new Map<string, { messages: number; from: number }>();
  #now = 0;

  constructor(
    private readonly entries_max: number,
    private readonly new_ref: () => string,
    private readonly tell: (event: Told) => void,
    /** Says whether somebody was there to hear it. */
    private readonly say: (event: MachineEvent) => boolean,
  ) {}

  places(): Places {
    return this.positions.all();
  }

  entries(): Entry[] {
    return [...this.#entries.values()];
  }

  // --- what the application says

  join(room: string, after: number | null): void {
    if (this.positions.join(room, after)) this.say({ type: "join", room, after });
  }

  leave(room: string): void {
    if (this.#forget(room)) this.say({ type: "leave", room });
  }

  #forget(room: string): boolean {
    this.#readings.delete(room);
    this.#joined.delete(room);
    this.#recovered.delete(room);
    return this.positions.leave(room);
  }

  send(now_ms: number, ref: string, frame: ClientFrame): void {
    this.#now = now_ms;
    const is_closed = this.state?.state === "closed";
    if (is_closed || this.#entries.size >= this.entries_max) {
      const code = is_closed ? "closed" : "queue_full";
      return this.tell({ type: "refused", ref, code, message: "It was not taken: too much waits already, or the client is closed." });
    }
    this.#hand_over(ref, frame);
  }

  /** This tab wants no connection any more. */
  close(): void {
    this.#readings.clear();
    this.#state({ type: "state", state: "closed", transport: this.state?.transport ?? "" });
  }

  #hand_over(ref: string, frame: ClientFrame): void {
    const entry: Entry = { ref, frame, handed_at: null, said: null };
    this.#entries.set(ref, entry);
    if (this.state?.state === "live") this.#mark(entry);
    if (this.say({ type: "send", ref, frame })) entry.handed_at = this.#now;
  }

  #mark(entry: Entry): void {
    entry.said ??= { session_id: this.session?.session_id ?? "", at_ms: this.#now };
  }

  /** All that waits is handed over once more. `missed`: this tab cannot know what became of what it had handed over before. */
  hand_over(now_ms: number, missed: boolean): Entry[] {
    for (const entry of this.#entries.values()) {
      if (missed && entry.handed_at !== null) entry.said ??= { session_id: this.session?.session_id ?? "", at_ms: entry.handed_at };
      entry.handed_at ??= now_ms;
    }
    return this.entries();
  }

  // --- what the tab with the connection says

  welcome(now_ms: number, { state, session, places, torn }: Extract<LeadersWords, { type: "welcome" }>): void {
    this.#now = now_ms;
    for (const gap of torn) this.#gap(gap);
    if (session && session.session_id !== this.session?.session_id) this.told(now_ms, session);
    if (state && (state.state !== this.state?.state || state.transport !== this.state.transport)) this.told(now_ms, state);
    for (const [room, position] of Object.entries(this.places())) {
      const stands_at = places[room];
      // Nothing tells where a user's own room begins for the others: only its history does.
      if (stands_at === undefined) position !== null && is_own_room(room) && this.#read(room, null);
      else if (stands_at !== null) this.#compare(room, stands_at, state?.state === "live");
    }
  }

  told(now_ms: number, event: Told): void {
    this.#now = now_ms;
    switch (event.type) {
      case "state": return this.#state(event);
      case "session":
        this.session = event;
        return this.tell(event);
      case "gap":
        this.torn = [...this.torn.slice(1 - TORN_MAX), { at_ms: now_ms, gap: event }];
        return this.#placed(event);
      case "message":
      case "restored":
      case "joined": return this.#placed(event);
      case "ack":
      case "answer":
      case "refused": return this.#answered(event);
      case "error":
        if (event.room === undefined || this.#forget(event.room)) this.tell(event);
        return;
      case "left": return;
      // An answer to what another tab asked, or withdrew.
      case "frame": return event.frame.ref === undefined ? this.tell(event) : undefined;
      default: return this.tell(event);
    }
  }

  #state(event: StateTold): void {
    this.state = event;
    this.tell(event);
    if (event.state === "live") for (const entry of this.#entries.values()) this.#mark(entry);
    if (event.state !== "closed") return;
    for (const { ref } of this.entries()) this.#answered({ type: "refused", ref, code: "closed", message: "The client was closed before this was answered." });
  }

  #answered(event: Extract<Told, { type: "ack" | "answer" | "refused" }>): void {
    const entry = this.#entries.get(event.ref);
    if (!entry) return;
    this.#entries.delete(event.ref);
    const room = entry.frame.room ?? "";
    const reading = this.#readings.get(room);
    if (reading?.ref === event.ref) this.#turn_page(room, reading, event);
    else this.tell(event);
  }

  // --- the order of a room

  #placed(event: Placed): void {
    const { room, type } = event;
    if (type === "message" && is_own_room(room)) this.positions.join(room, null);
    const reading = this.#readings.get(room);
    if (reading) return this.#hold(reading, event);
    if (!this.positions.has(room)) return;
    if (type === "gap") return this.#gap(event);
    if (type === "joined") return this.#compare(room, event.position, true);
    const position = this.positions.of(room);
    // Something between was told to others and not to this tab.
    if (position !== null && position < event.after) return this.#read(room, event.after, [event]);
    // What follows on position 0 is all that is kept, and proves nothing to whoever has more.
    if (position && event.after === 0) return this.#read(room, type === "message" ? event.message.id : event.position, [{ ...event, after: position }]);
    // Who wants it live does not begin at 0, which asks for all there is.
    this.positions.begin(room, event.after || (type === "message" ? event.message.id - 1 : event.position));
    if (position === null || type === "restored") this.#enter(room);
    if (type === "message") return void this.#deliver(event);
    // A gap that is told of this restore comes after it.
    if (!this.#recovered.get(room)?.messages) this.#recovered.set(room, { messages: 0, from: position ?? event.after });
    this.positions.advance(room, event.position);
    this.#restored(event);
  }

  /** Told once, whichever way this tab hears of it. */
  #enter(room: string): void {
    const position = this.positions.of(room);
    if (position === null || this.#joined.has(room) || is_own_room(room)) return;
    this.#joined.add(room);
    this.tell({ type: "joined", room, position });
  }

  #deliver(event: Extract<Told, { type: "message" }>): void {
    const { room, message, recovered } = event;
    const from = this.positions.of(room) ?? 0;
    if (!this.positions.accept(room, message.id)) return;
    const late = this.#recovered.get(room);
    if (recovered) this.#recovered.set(room, late?.messages ? { ...late, messages: late.messages + 1 } : { messages: 1, from });
    this.tell(event);
  }

  #restored(event: Extract<Told, { type: "restored" }>): void {
    const late = this.#recovered.get(event.room);
    const messages = late?.messages ?? 0;
    if (late) late.messages = 0;
    this.tell({ ...event, messages });
  }

  #hold({ held }: Reading, event: Placed): void {
    // All but the gaps can be read once more.
    if (held.length >= HELD_MAX) held.splice(0, HELD_MAX, ...held.filter(({ type }) => type === "gap").slice(-TORN_MAX));
    held.push(event);
  }

  #gap(event: GapTold): void {
    const { room, after, before, reason } = event;
    const position = this.positions.of(room);
    // This tab had it before it was restored for the others, from the tab that had the connection before.
    if (reason !== "rolled_back" && before !== null && position !== null && Math.min(position, this.#recovered.get(room)?.from ?? position) >= before - 1) return;
    if (this.positions.accept_gap(room, after, before, reason)) this.tell(event);
  }

  /** The others stand there. */
  #compare(room: string, stands_at: number, is_joined: boolean): void {
    const position = this.positions.of(room);
    if (stands_at > 0) this.positions.begin(room, stands_at);
    if (is_joined) this.#enter(room);
    if (position !== null && position < stands_at) this.#read(room, stands_at);
  }

  // --- catching up

  #read(room: string, end: number | null, held: Placed[] = []): void {
    const under_way = this.#readings.get(room);
    if (under_way) {
      if (under_way.end !== null) under_way.end = Math.max(under_way.end, end ?? 0);
      return;
    }
    const reading = { ref: "", end, recovered: true, held };
    this.#readings.set(room, reading);
    this.#ask(room, reading);
  }

  #ask(room: string, reading: Reading): void {
    reading.ref = this.new_ref();
    this.#hand_over(reading.ref, { type: "history", room, after: this.positions.of(room) ?? 0, limit: PAGE_MESSAGES });
  }

  #turn_page(room: string, reading: Reading, event: Extract<Told, { type: "ack" | "answer" | "refused" }>): void {
    if (event.type !== "answer") return this.#fail(room, reading, event.type === "refused" ? event.code : "");
    const page: ServerFrame = event.frame;
    const messages = page.messages ?? [];
    const after = this.positions.of(room) ?? 0;
    const before = messages[0]?.id ?? (reading.end === null ? null : Math.max(after, reading.end) + 1);
    if (is_loss(page, after, before)) {
      reading.recovered = false;
      this.#gap({ type: "gap", room, after, before, reason: "expired" });
    }
    for (const message of messages) this.#deliver({ type: "message", room, message, recovered: true, after: this.positions.of(room) ?? 0 });
    const position = this.positions.of(room);
    // Whoever was told may have left.
    if (position === null || this.#readings.get(room) !== reading) return;
    if (!page.complete && messages.length > 0 && (reading.end === null || position < reading.end)) this.#ask(room, reading);
    else this.#finish(room, reading);
  }

  #finish(room: string, { end, recovered, held }: Reading): void {
    this.#readings.delete(room);
    const after = this.positions.of(room) ?? 0;
    this.positions.advance(room, end ?? 0);
    this.#restored({ type: "restored", room, messages: 0, recovered, after, position: this.positions.of(room) ?? 0 });
    for (const event of held) this.#placed(event);
  }

  /** What cannot be read is lost, unless it is only not to be had now. */
  #fail(room: string, reading: Reading, code: string): void {
    this.#readings.delete(room);
    // The next thing that is told of the room does not continue either, and begins this anew.
    if (code === "closed" || code === "queue_full") return;
    const after = this.positions.of(room) ?? 0;
    this.#gap({ type: "gap", room, after, before: reading.end === null ? null : reading.end + 1, reason: "expired" });
    this.#finish(room, { ...reading, recovered: false });
  }
}
