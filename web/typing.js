// Who else is typing, in one line. Owns that line. Refuses to believe for ever in somebody of whom nothing more is heard: an
// event that says that it ceased may be lost.

const NAMES_MAX = 3;
// Told again every 3 s while it goes on, and ends 5 s after the last keystroke.
const BELIEVED_MS = 7_000;

const name_list = new Intl.ListFormat("en-GB", { type: "conjunction" });

export class Typing {
  #room = "";
  /** The timer of each name, which ends what is believed of it. */
  #typists = new Map();

  constructor({ line }) {
    this.line = line;
  }

  clear(room) {
    this.#room = room;
    for (const timer of this.#typists.values()) clearTimeout(timer);
    this.#typists.clear();
    this.#show();
  }

  started({ room, user_id }) {
    if (room !== this.#room) return;
    clearTimeout(this.#typists.get(user_id));
    this.#typists.set(user_id, setTimeout(() => this.stopped({ room, user_id }), BELIEVED_MS));
    this.#show();
  }

  stopped({ room, user_id }) {
    if (room !== this.#room) return;
    clearTimeout(this.#typists.get(user_id));
    if (this.#typists.delete(user_id)) this.#show();
  }

  #show() {
    this.line.textContent = sentence([...this.#typists.keys()]);
  }
}

export function sentence(names) {
  if (names.length === 0) return "";
  if (names.length > NAMES_MAX) return "several people are typing…";
  return `${name_list.format(names)} ${names.length === 1 ? "is" : "are"} typing…`;
}
