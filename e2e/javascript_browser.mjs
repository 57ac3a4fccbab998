// Blank pages of the server's own origin in Chromium that run the package `tidings` as its build made it, and write down what their client
// was told. Owns what stands under /test of that origin. Refuses to do with a client what an application could not.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { repository } from "./places.mjs";
import { until } from "./wait.mjs";

const bundle = () => readFileSync(join(repository, "clients/js/dist/tidings.js"), "utf8");

/** Runs in a page, and in a worker: opens a client, and keeps what it is told. */
const SCRIPT = `
import { Tidings } from "/test/tidings.js";

globalThis.begin = ({ room, after, ...options }) => {
  const told = (globalThis.told = { messages: [], gaps: [], states: [], refused: [], acks: [] });
  const client = (globalThis.client = new Tidings(location.origin, options));
  client.on("state", (state) => told.states.push(state));
  const joined = (globalThis.room = client.room(room, { after }));
  joined.on("message", ({ id, text }) => told.messages.push({ id, text }));
  joined.on("gap", (gap) => told.gaps.push(gap));
  globalThis.say = (text) => joined.send(text).then((id) => told.acks.push({ id, text }), ({ code }) => told.refused.push({ code, text }));
};
globalThis.say_it = (text) => void globalThis.say(text);
globalThis.look = () => ({ ...globalThis.told, state: globalThis.client.state.state, role: globalThis.client.role });
`;

const WORKER = `
import "/test/client.js";
onmessage = ({ data: [id, name, argument] }) => postMessage([id, globalThis[name](argument)]);
postMessage([0]);
`;

const files = {
  "/test/client.js": ["text/javascript", () => SCRIPT],
  "/test/worker.js": ["text/javascript", () => WORKER],
  "/test/tidings.js": ["text/javascript", bundle],
};

/** A browser's profile, in which pages share what is of their origin. */
export async function open_context(t, browser, url) {
  const context = await browser.newContext();
  t.after(() => context.close());
  await context.route(`${url}/test/**`, (route) => {
    const [contentType, body] = files[new URL(route.request().url()).pathname] ?? ["text/plain", () => "nothing"];
    return route.fulfill({ contentType, body: body() });
  });
  return context;
}

/** A page with a client in a room. */
export class ClientPage {
  /** `clock`: its clock can be moved. */
  static async open(context, url, { clock = false, ...options } = {}) {
    const tab = await ClientPage.blank(context, url, { clock });
    await tab.begin(options);
    return tab;
  }

  /** One without a client: `begin` gives it one. */
  static async blank(context, url, { clock = false } = {}) {
    const tab = new ClientPage();
    tab.page = await context.newPage();
    if (clock) await tab.page.clock.install();
    tab.complaints = [];
    tab.page.on("pageerror", (error) => tab.complaints.push(String(error)));
    // From the server itself: what a test makes up counts as from elsewhere, from where Chromium lets no WebSocket reach this machine.
    await tab.page.goto(`${url}/health`);
    await tab.page.evaluate(() => import("/test/client.js"));
    return tab;
  }

  begin(options) {
    return this.page.evaluate((given) => globalThis.begin(given), { room: "news", user: "ana", ...options });
  }

  look() {
    return this.page.evaluate(() => globalThis.look());
  }

  say(text) {
    return this.page.evaluate((text) => void globalThis.say(text), text);
  }

  /** Waits until what it was told fits. */
  until(what, fits, deadline_ms) {
    return until(what, () => this.look(), fits, deadline_ms);
  }

  is_live() {
    return this.until("the tab is live", ({ state }) => state === "live");
  }

  close() {
    return this.page.close();
  }

  /** Stops its scripts, as a page does that is stuck; gives what lets them go on. */
  async halt() {
    const session = await this.page.context().newCDPSession(this.page);
    await session.send("Debugger.enable");
    // Only a script that runs can be stopped.
    await session.send("Runtime.evaluate", { expression: "setTimeout(() => {}, 0)" });
    await session.send("Debugger.pause");
    void session.send("Runtime.evaluate", { expression: "0" });
    return () => session.send("Debugger.resume");
  }

  /** What a browser says to a page that it freezes, or lets go on. This one cannot be made to freeze a page with a lock. */
  hears(event) {
    return this.page.evaluate((event) => void document.dispatchEvent(new Event(event)), event);
  }
}
