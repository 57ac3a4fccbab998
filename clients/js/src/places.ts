// The rooms of one machine: which are wanted, where the client stands in them, and what the server says of them becomes what is told.
// Owned by the machine, in whose name it speaks and tells. Refuses to know whether there is a connection.

import type { ClientFrame, MessageFrame, ServerFrame } from "./frames.js";
import { is_own_room, Positions } from "./positions.js";
import type { Told } from "./words.js";

/** The `ref` of a `leave` of which nobody is told. */
export const QUIET_REF = "quiet";

export class Places {
  readonly positions = new Positions();
  /** A `restore` that lacked something: the next frame says why, or nobody does. */
  #unexplained: { room: string; after: number; before: number | null } | null = null;
  /** The rooms whose `join` is not answered yet, by its `ref`. */
  #joins = new Map<string, string>();
  /** The rooms of which it is not answered yet that they were left. */
  #leaving = new Set<string>();
  /** The rooms that the last hello named. */
  #greeted = new Set<string>();
  #references = 0;

  constructor(
    private readonly say: (frame: ClientFrame) => void,
    private readonly tell: (event: Told) => void,
  ) {}

  // --- what is said

  /** What a hello says of rooms. */
  greet(): { rooms?: string[]; positions?: Record<string, number> } {
    const rooms = this.positions.unknown();
    const positions = this.positions.known();
    const known = Object.keys(positions);
    this.#greeted = new Set([...rooms, ...known]);
    return { ...(rooms.length > 0 ? { rooms } : {}), ...(known.length > 0 ? { positions } : {}) };
  }

  /** What the hello under way says of the room is not so any more. */
  not_greeted(room: string): void {
    this.#greeted.delete(room);
  }

  /** There is a session, and it is in these rooms. */
  settle_in(rooms: string[]): void {
    this.#joins.clear();
    this.#leaving.clear();
    // Only `joined` tells where a room begins, and what was joined since was not in the hello.
    for (const [room, position] of Object.entries(this.positions.all())) {
      if (position !== null && this.#greeted.has(room)) continue;
      // The session may be in it, from where it stood: only who comes in names a position.
      if (position !== null && rooms.includes(room)) this.leave(room, QUIET_REF);
      this.join(room, position);
    }
    // A hello that names no room is one to the lobby, and a session is in rooms that were left while it was away.
    for (const room of rooms) if (!this.positions.has(room)) this.leave(room, QUIET_REF);
  }

  join(room: string, after: number | null): void {
    if (is_own_room(room)) return;
    const ref = `j${++this.#references}`;
    this.#joins.set(ref, room);
    this.say({ type: "join", room, ...(after === null ? {} : { last_message_id: after }), ref });
  }

  leave(room: string, ref?: string): void {
    if (is_own_room(room)) return;
    this.#leaving.add(room);
    // Their answers come before the one to this.
    for (const [ref, joining] of this.#joins) if (joining === room) this.#joins.delete(ref);
    this.say({ type: "leave", room, ...(ref === undefined ? {} : { ref }) });
  }

  // --- what the server says

  /** Whether the frame is about where the client stands in a room. */
  frame(frame: ServerFrame): boolean {
    const room = frame.room ?? "";
    // It was on its way when the room was left; if it is wanted again by now, it begins with what follows.
    const is_stale = this.#leaving.has(room);
    switch (frame.type) {
      case "restore": is_stale || this.#restore(room, frame); break;
      case "message": is_stale || this.#deliver(room, frame as MessageFrame, false); break;
      case "gap": is_stale || this.#gap(room, frame.after ?? 0, frame.before ?? null, frame.reason ?? "expired"); break;
      case "joined": this.#joined(room, frame); break;
      case "left":
        this.#leaving.delete(room);
        if (frame.ref !== QUIET_REF) this.tell({ type: "left", room });
        break;
      default: return false;
    }
    return true;
  }

  /** Something was missing and the frame that follows does not say what: then this client says it. */
  explain(frame: ServerFrame | null): void {
    const open = this.#unexplained;
    this.#unexplained = null;
    if (open && !(frame?.type === "gap" && frame.room === open.room)) this.#gap(open.room, open.after, open.before, "expired");
  }

  /** The room whose `join` was refused, which counts as left. */
  refused(ref: string | undefined): string | undefined {
    const room = this.#joins.get(ref ?? "");
    this.#joins.delete(ref ?? "");
    if (room !== undefined) this.positions.leave(room);
    return room;
  }

  #restore(room: string, { messages = [], last_message_id, recovered = true }: ServerFrame): void {
    const after = this.positions.of(room);
    const first = messages[0]?.id;
    // Position 0 asks for all there is, and has lost nothing.
    if (!recovered && after !== null && after > 0) this.#unexplained = { room, after, before: first ?? null };
    if (after === null && first !== undefined) this.positions.begin(room, first - 1);
    const fresh = messages.filter((message) => this.#deliver(room, message, true));
    const reached = this.positions.of(room) ?? last_message_id ?? 0;
    this.positions.advance(room, last_message_id ?? 0);
    const position = this.positions.of(room);
    if (position !== null) this.tell({ type: "restored", room, messages: fresh.length, recovered, after: reached, position });
  }

  #deliver(room: string, message: MessageFrame, recovered: boolean): boolean {
    const after = this.positions.of(room) ?? message.id - 1;
    if (!this.positions.accept(room, message.id)) return false;
    this.tell({ type: "message", room, message, recovered, after });
    return true;
  }

  #gap(room: string, after: number, before: number | null, reason: string): void {
    if (this.positions.accept_gap(room, after, before, reason)) this.tell({ type: "gap", room, after, before, reason });
  }

  #joined(room: string, { last_message_id, ref }: ServerFrame): void {
    if (this.#joins.delete(ref ?? "")) this.#leaving.delete(room);
    if (this.#leaving.has(room)) return;
    this.positions.begin(room, last_message_id ?? 0);
    const position = this.positions.of(room);
    if (position !== null) this.tell({ type: "joined", room, position });
  }
}
