// Makes up prices and publishes them to the room `ticker`, a few a second, by `POST /rooms/ticker/messages`: what a program
// of somebody's that only publishes would do, without a session. Runs while its tab is open. Refuses to speak for others:
// each tab that is started publishes for itself.

import { TICKER_ROOM } from "./ticker.js";

const PAUSE_MS = 250;
const PAUSE_AFTER_ERROR_MS = 2_000;
const FIRST_PRICES = { barley: 188, cocoa: 96, copper: 412, tin: 275, wool: 134 };

export class PriceSource {
  #prices = new Map(Object.entries(FIRST_PRICES));
  #timer = null;

  constructor({ base }) {
    this.url = new URL(`rooms/${TICKER_ROOM}/messages`, base);
  }

  get is_running() {
    return this.#timer !== null;
  }

  start() {
    this.#again_in(0);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #again_in(pause_ms) {
    this.#timer = setTimeout(async () => {
      const is_published = await this.#publish();
      if (this.is_running) this.#again_in(is_published ? PAUSE_MS : PAUSE_AFTER_ERROR_MS);
    }, pause_ms);
  }

  async #publish() {
    const [key, price] = this.#next_price();
    const body = JSON.stringify({ key, data: { price } });
    try {
      const response = await fetch(this.url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
      return response.ok;
    } catch {
      return false;
    }
  }

  /** Up to one percent up or down. */
  #next_price() {
    const names = [...this.#prices.keys()];
    const key = names[Math.floor(Math.random() * names.length)];
    const price = Number((this.#prices.get(key) * (0.99 + Math.random() / 50)).toFixed(2));
    this.#prices.set(key, price);
    return [key, price];
  }
}
