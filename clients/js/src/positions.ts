// Where the client stands in each of its rooms: what is new, what was seen, and what to ask for after a reconnect. Pure. Refuses
// what is not behind a position, which is how duplicates end.

/** Why messages between two ids may be lost. */
export type GapReason = "expired" | "overflow" | "rolled_back";

interface Place {
  /** The id delivered last; `null` until the server has said where a room that is wanted live begins. */
  position: number | null;
  /** The gap told last: a server may say one both in `gap` and in `restore`. */
  gap?: { after: number; before: number | null };
}

/** A user's own room is entered by the server, never by a `join`. */
export const is_own_room = (room: string): boolean => room.startsWith("@");

export class Positions {
  #places = new Map<string, Place>();

  /** Joining again changes nothing. */
  join(room: string, after: number | null): boolean {
    if (this.#places.has(room)) return false;
    this.#places.set(room, { position: after });
    return true;
  }

  leave(room: string): boolean {
    return this.#places.delete(room);
  }

  has(room: string): boolean {
    return this.#places.has(room);
  }

  of(room: string): number | null {
    return this.#places.get(room)?.position ?? null;
  }

  all(): Record<string, number | null> {
    return Object.fromEntries([...this.#places].map(([room, { position }]) => [room, position]));
  }

  /** The rooms that the client joined and of which it does not know yet where they begin. */
  unknown(): string[] {
    return [...this.#places].filter(([room, { position }]) => position === null && !is_own_room(room)).map(([room]) => room);
  }

  /** The positions that are known, as `hello` carries them. */
  known(): Record<string, number> {
    const entries = [...this.#places].flatMap(([room, { position }]) => (position === null ? [] : [[room, position] as const]));
    return Object.fromEntries(entries);
  }

  /** Where a room begins; counts only while nothing else is known. */
  begin(room: string, id: number): void {
    const place = this.#places.get(room);
    if (place && place.position === null) place.position = id;
  }

  /** Where the client stands although no message may have come. */
  advance(room: string, id: number): void {
    const place = this.#places.get(room);
    if (place) place.position = Math.max(place.position ?? 0, id);
  }

  /** Whether a message is new; moves the position if so. */
  accept(room: string, id: number): boolean {
    if (is_own_room(room)) this.#own(room, id);
    const place = this.#places.get(room);
    if (!place || place.position === null || id <= place.position) return false;
    place.position = id;
    return true;
  }

  /** Whether a gap is news. A log that was rolled back takes a position that stands in the gap back with it. */
  accept_gap(room: string, after: number, before: number | null, reason: string): boolean {
    const place = this.#places.get(room);
    if (!place) return false;
    const is_behind = before !== null && place.position !== null && place.position >= before;
    if (reason === "rolled_back" && !is_behind && place.position !== null) {
      place.position = Math.min(place.position, after, before === null ? after : before - 1);
    }
    const told = place.gap;
    place.gap = { after, before };
    return !told || told.after !== after || (told.before !== null && before !== null && told.before !== before);
  }

  /** Nobody joins a user's own room: its first message says where it begins. */
  #own(room: string, id: number): void {
    this.join(room, null);
    this.begin(room, id - 1);
  }
}
