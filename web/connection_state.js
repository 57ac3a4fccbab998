// The connection's state in words, with countdowns to the next attempt and to the end of a silence. Owns the pill and the labels of
// the buttons that drop the connection and silence it. Refuses to know why the state is what it is.

const COUNT_EVERY_MS = 250;

export class ConnectionState {
  #event = { state: "connecting" };
  #countdown;

  constructor({ pill, text, drop, offline, cable }) {
    Object.assign(this, { pill, text, drop, offline, cable });
    this.offline_label = offline.textContent;
    cable.listener = () => this.#show();
  }

  /** Whether it is between two attempts, or will make none by itself. */
  get is_waiting() {
    return this.#event.state !== "live" && this.#event.state !== "connecting";
  }

  show(event) {
    this.#event = event;
    this.pill.dataset.state = event.state;
    this.drop.textContent = this.is_waiting ? "Reconnect" : "Drop";
    this.#show();
  }

  #show() {
    clearTimeout(this.#countdown);
    const { state, retry_at } = this.#event;
    const { silent_until } = this.cable;
    this.text.textContent = retry_at === undefined ? (state === "closed" ? "offline" : state) : this.#waiting(retry_at);
    this.offline.textContent = silent_until === null ? this.offline_label : `Offline ${seconds_to(silent_until)} s`;
    this.offline.setAttribute("aria-pressed", silent_until !== null);
    if (retry_at !== undefined || silent_until !== null) this.#countdown = setTimeout(() => this.#show(), COUNT_EVERY_MS);
  }

  #waiting(retry_at) {
    const is_offline = !navigator.onLine || this.cable.silent_until !== null;
    const what = this.#event.state === "away" ? "dropped, back" : is_offline ? "offline, retry" : "reconnecting";
    return `${what} in ${seconds_to(retry_at)} s`;
  }
}

const seconds_to = (at_ms) => Math.max(0, Math.ceil((at_ms - Date.now()) / 1_000));
