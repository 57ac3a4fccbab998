// Pages of Chromium with clients of this repository in them. Owns nothing that is not a page; refuses to judge. They come from the server's
// own origin, so that no rule about origins matters.

import { readFileSync } from "node:fs";

const bundle = readFileSync(new URL("../js/dist/tidings.js", import.meta.url), "utf8");

export class Page {
  #page;

  /** Opens a page of `url` with a client for each of these rooms. It is closed when `t` ends. */
  static async open(t, browser, url, rooms) {
    const page = new Page();
    // Chromium makes one WebSocket at a time to one address in each context, and lets those wait whose last attempts failed: so each
    // page has a context of its own, as if it were another browser.
    const context = await browser.newContext();
    t.after(() => context.close());
    page.#page = await context.newPage();
    await page.#page.route(`${url}/bench.js`, (route) => route.fulfill({ contentType: "text/javascript", body: bundle }));
    // Not a page that is made up: Chromium does not know where such a one comes from, and lets it connect to nobody nearby.
    await page.#page.goto(`${url}/health`);
    await page.#page.evaluate(seat_clients, { url, rooms });
    return page;
  }

  /** How many of the clients heard a message, came back to their room since `since`, and have the message of this id in theirs. */
  progress(since, last = {}) {
    return this.#page.evaluate(
      ([at, ids]) => ({
        hear: window.seats.filter(({ got }) => got.length > 0).length,
        whole: window.seats.filter(({ whole }) => whole.some((whole_at) => whole_at >= at)).length,
        done: window.seats.filter(({ room, ids: got }) => got.has(ids[room])).length,
      }),
      [since, last],
    );
  }

  /** What they saw: `[{room, got: [{id, at_ms}], gaps, said, lost: [time], whole: [time]}]`; `said` is empty. */
  async books() {
    const seats = await this.#page.evaluate(() => window.seats.map(({ ids: _, ...seat }) => seat));
    return seats.map((seat) => ({ ...seat, said: new Map() }));
  }
}

/** Runs in the page. */
async function seat_clients({ url, rooms }) {
  const { Tidings } = await import(`${url}/bench.js`);
  window.seats = rooms.map((name) => {
    const seat = { room: name, got: [], ids: new Set(), gaps: [], lost: [], whole: [], resumed: 0 };
    // Each has its own connection, also where tabs could share one.
    const client = new Tidings(url, { transports: ["websocket"], remember: false, share: false });
    client.on("state", ({ state }) => state === "waiting" && seat.lost.push(Date.now()));
    client.on("session", ({ resumed }) => (seat.resumed += Number(resumed)));
    const room = client.room(name);
    room.on("message", ({ id }) => {
      seat.got.push({ id, at_ms: Date.now() });
      seat.ids.add(id);
    });
    room.on("gap", ({ after, before }) => seat.gaps.push({ after, before }));
    // It then has all that the log has.
    room.on("restored", () => seat.whole.push(Date.now()));
    return seat;
  });
}
