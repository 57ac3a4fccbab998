// Where the client stands in each of its rooms: the id of the last message it has. Owned by one connection, and the same
// whichever transport brought the messages, which is why a change of transport loses nothing. Refuses to go back.

export class Positions {
  #ids = new Map();

  constructor(rooms) {
    for (const room of rooms) this.#ids.set(room, 0);
  }

  has(room) {
    return this.#ids.has(room);
  }

  /** `0` means "before the first message". */
  of(room) {
    return this.#ids.get(room) ?? 0;
  }

  /** Says whether this was a step forward. Ids of a room only rise, so what is none was here before. */
  advance(room, id) {
    if (!this.has(room) || id <= this.of(room)) return false;
    this.#ids.set(room, id);
    return true;
  }

  /** As `hello` carries them. */
  toJSON() {
    return Object.fromEntries(this.#ids);
  }
}
