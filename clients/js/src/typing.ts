// What is told of the user's typing: not more often than others can see, and that it ceased only if it was told that it began. Pure;
// owned by one machine. Refuses to know rooms that the user left.

export class Typing {
  /** When it was told last, by room. */
  #told_at = new Map<string, number>();

  constructor(private readonly interval_ms: number) {}

  /** Whether to tell it now. */
  goes_on(room: string, now_ms: number): boolean {
    if (now_ms - (this.#told_at.get(room) ?? -Infinity) < this.interval_ms) return false;
    this.#told_at.set(room, now_ms);
    return true;
  }

  /** Whether it was told. */
  ceased(room: string): boolean {
    return this.#told_at.delete(room);
  }
}
