// Tells the room that one is typing: at the first letter, again every few seconds while it goes on, and when the field was
// emptied. Owned by the page's message field. Refuses to tell that a message was sent, which says it by itself.

const TELL_AGAIN_MS = 3_000;

export class TypingNotice {
  #told_at = null;

  /** @param {{field: HTMLInputElement, tell: (type: "typing_start" | "typing_stop") => void}} options */
  constructor({ field, tell }) {
    Object.assign(this, { field, tell });
    field.addEventListener("input", () => this.#changed());
  }

  /** The message went out, or one went elsewhere: whoever types then begins anew. */
  forget() {
    this.#told_at = null;
  }

  #changed() {
    if (this.field.value === "") {
      if (this.#told_at !== null) this.tell("typing_stop");
      this.#told_at = null;
    } else if (this.#told_at === null || Date.now() - this.#told_at >= TELL_AGAIN_MS) {
      this.#told_at = Date.now();
      this.tell("typing_start");
    }
  }
}
