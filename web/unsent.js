// The messages that the server has not acknowledged yet, in the order they were written. Owned by one connection, sent again
// after every reconnect under the same `ref`, which the server stores once. Refuses to grow beyond UNSENT_MAX.

export const UNSENT_MAX = 100;

export class Unsent {
  #messages = new Map();

  /** Takes a message and gives it its `ref`; `null` when the queue is full. */
  add(room, text) {
    if (this.#messages.size >= UNSENT_MAX) return null;
    const message = { ref: newReference(), room, text };
    this.#messages.set(message.ref, message);
    return message;
  }

  /** Forgets a message that was acknowledged or refused; says whether it was here. */
  settle(ref) {
    return this.#messages.delete(ref);
  }

  get size() {
    return this.#messages.size;
  }

  [Symbol.iterator]() {
    return this.#messages.values();
  }
}

// 64 random bits: no two tabs may meet on one `ref`, and `crypto.randomUUID` is missing on plain http beyond localhost.
function newReference() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
