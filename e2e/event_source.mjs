// A reader of /events by an EventSource that somebody else wrote, read by condition. Owns it until the test ends. The same
// few lines run in Chromium and in Node.js; they only listen, so coming back is the EventSource's own doing.

import { load } from "./places.mjs";
import { Arrivals } from "./wait.mjs";

function listen(EventSource, address, told) {
  const source = new EventSource(address);
  for (const type of ["session", "joined", "message", "gap"]) {
    source.addEventListener(type, ({ data, lastEventId }) => told({ ...JSON.parse(data), last_event_id: lastEventId }));
  }
  // The server's own `error` has data; a connection that is lost, or not to be had, has none.
  source.addEventListener("error", ({ data }) => told(data ? JSON.parse(data) : { type: "lost" }));
  return source;
}

class Reader {
  #frames = new Arrivals();
  told = (frame) => this.#frames.push(frame);

  /** The first frame of this type, now or when it comes. */
  receives(type, fits = () => true) {
    return this.#frames.take(`${type} is received`, (frame) => frame.type === type && fits(frame));
  }

  /** The next so many messages, whatever else came between. */
  async messages(count) {
    const messages = [];
    while (messages.length < count) messages.push(await this.receives("message"));
    return messages;
  }

  /** What was received and not asked for. */
  get rest() {
    return this.#frames.rest;
  }
}

/** The npm package `eventsource`. */
export async function read_in_node(t, url, path) {
  const reader = new Reader();
  const source = listen(load("eventsource").EventSource, url + path, reader.told);
  t.after(() => source.close());
  return reader;
}

/** Chromium's own, in a page of the server that has no code. */
export async function read_in_chromium(t, browser, url, path) {
  const reader = new Reader();
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.exposeFunction("told", reader.told);
  await page.goto(`${url}/health`);
  await page.evaluate(`(${listen})(EventSource, ${JSON.stringify(path)}, told); 0`);
  return reader;
}
