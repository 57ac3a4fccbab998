// The connection's state in words, with a countdown to the next attempt. Owns the pill and the label of the button that drops
// the connection. Refuses to know why the state is what it is.

const COUNT_EVERY_MS = 250;

export class ConnectionState {
  #countdown;

  constructor({ pill, text, button }) {
    Object.assign(this, { pill, text, button });
  }

  show({ state, retry_at }) {
    clearInterval(this.#countdown);
    this.pill.dataset.state = state;
    this.button.textContent = state === "live" || state === "connecting" ? "Drop my connection" : "Reconnect";
    if (retry_at === undefined) {
      this.text.textContent = state === "closed" ? "offline" : state;
      return;
    }
    const count_down = () => {
      const seconds = Math.max(0, Math.ceil((retry_at - Date.now()) / 1_000));
      const cause = navigator.onLine ? "" : "offline, ";
      this.text.textContent = `${cause}${state === "away" ? "dropped, back" : "reconnecting"} in ${seconds} s`;
    };
    count_down();
    this.#countdown = setInterval(count_down, COUNT_EVERY_MS);
  }
}
