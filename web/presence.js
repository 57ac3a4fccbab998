// Who is in the room: the names and how many there are. Owns their elements on the page. Guests have no name, and are not
// seen. Refuses to know how the question travels; `ask` does.

const NAMES_SHOWN_MAX = 60;
// In a big room every change would be a question otherwise.
const ASK_AGAIN_MS = 2_000;
// A slow reader may be spared an event, and between two polls nobody listens.
const DOUBT_MS = 10_000;

export class Presence {
  #room = "";
  #own_name = "";
  #names = new Set();
  #total = 0;
  #asked_at = -Infinity;
  #timer;

  constructor({ list, count, ask }) {
    Object.assign(this, { list, count, ask });
  }

  /** Begins anew for another room or another name. */
  clear({ room, name }) {
    this.#room = room;
    this.#own_name = name;
    this.#asked_at = -Infinity;
    this.#settle([], 0);
  }

  /** Asks who is here, now or as soon as the last question is long enough ago. */
  refresh() {
    clearTimeout(this.#timer);
    const wait_ms = this.#asked_at + ASK_AGAIN_MS - Date.now();
    if (wait_ms > 0) {
      this.#timer = setTimeout(() => this.refresh(), wait_ms);
      return;
    }
    this.#asked_at = Date.now();
    this.#timer = setTimeout(() => this.refresh(), DOUBT_MS);
    this.ask({ type: "presence", room: this.#room });
  }

  /** Takes a server frame about who comes and goes. */
  take(frame) {
    if (frame.room !== this.#room) return;
    const act = {
      presence: () => this.#settle(frame.users.map(({ user_id }) => user_id), frame.total),
      presence_changed: () => this.#count_anew(frame.users),
      user_joined: () => this.#join(frame.user_id),
      user_left: () => this.#leave(frame.user_id),
    }[frame.type];
    act?.();
  }

  #settle(names, total) {
    this.#names = new Set(names);
    this.#total = total;
    this.#show();
  }

  #count_anew(total) {
    this.#total = total;
    this.#show();
    this.refresh();
  }

  #join(name) {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    this.#total += 1;
    this.#show();
  }

  #leave(name) {
    if (!this.#names.delete(name)) return;
    this.#total -= 1;
    this.#show();
  }

  #show() {
    this.count.textContent = this.#total === 1 ? "1 here" : `${this.#total} here`;
    const is_own = (name) => name === this.#own_name;
    const sorted = [...this.#names].sort((a, b) => is_own(b) - is_own(a) || a.localeCompare(b));
    const shown = sorted.slice(0, NAMES_SHOWN_MAX);
    const rows = shown.map((name) => row(name, is_own(name)));
    if (this.#total > shown.length) rows.push(row(`and ${this.#total - shown.length} more`, false));
    this.list.replaceChildren(...rows);
  }
}

function row(name, is_own) {
  const item = document.createElement("li");
  item.textContent = name;
  item.classList.toggle("self", is_own);
  return item;
}
