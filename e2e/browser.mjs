// Chromium and the page in it. Owns the browser process of a test file; every tab is a context of its own, so that one can
// be cut off while the other goes on. Refuses to reach into the page's code: it sees what a person sees.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { load, screenshots } from "./places.mjs";
import { DEADLINE_MS } from "./wait.mjs";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** Starts the system's Chromium; `CHROMIUM` names another one. */
export function start_chromium() {
  const { chromium } = load("playwright-core");
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

export class Tab {
  /** Opens the chat at `url` in a room under a name, over a transport, and waits until it is live. */
  static async open(t, browser, url, { room, name, transport = "websocket", ...options }) {
    const tab = new Tab();
    tab.context = await browser.newContext({ viewport: { width: 620, height: 720 }, reducedMotion: "reduce", ...options });
    t.after(() => tab.context.close());
    tab.context.setDefaultTimeout(DEADLINE_MS);
    tab.page = await tab.context.newPage();
    tab.complaints = [];
    tab.page.on("pageerror", (error) => tab.complaints.push(String(error)));
    await tab.page.goto(`${url}/#${new URLSearchParams({ room, name, transport })}`);
    await tab.is("live");
    return tab;
  }

  is(...states) {
    return this.page.locator(states.map((state) => `#state[data-state="${state}"]`).join(",")).waitFor();
  }

  async say(...texts) {
    for (const text of texts) {
      await this.page.fill("#text", text);
      await this.page.press("#text", "Enter");
    }
  }

  press(button) {
    return this.page.getByRole("button", { name: button }).click();
  }

  /** Goes on over another transport, as a person would choose it. */
  takes(label) {
    return this.page.getByRole("radio", { name: label, exact: true }).click();
  }

  /** Waits until exactly these names are listed as being here, one's own first. */
  lists(...names) {
    const listed = (wanted) => {
      const rows = Array.from(document.querySelectorAll("#people li"), (row) => row.textContent);
      return rows.join() === wanted && document.querySelector("#people-count").textContent === `${rows.length} here`;
    };
    return this.page.waitForFunction(listed, names.join());
  }

  /** Waits until the line of who is typing reads like this. */
  reads(sentence) {
    return this.page.waitForFunction((wanted) => document.querySelector("#typing").textContent === wanted, sentence);
  }

  /** Waits until a delivered message has this text. */
  sees(text) {
    return this.page.locator("#log .message", { has: this.page.getByText(text, { exact: true }) }).first().waitFor();
  }

  /** Waits for a line of the page itself, such as a gap, that contains this text. */
  is_told(kind, text) {
    return this.page.locator(`#log .${kind}`, { hasText: text }).first().waitFor();
  }

  /** Waits until all that was written is stored and has come back. */
  has_sent_all() {
    return this.page.waitForFunction(() => document.querySelectorAll("#unsent .waiting, #unsent .stored").length === 0);
  }

  /** The delivered messages from top to bottom: `{id, text, recovered, own}`. */
  messages() {
    return this.page.locator("#log .message").evaluateAll((rows) =>
      rows.map((row) => ({
        id: Number(row.dataset.id),
        text: row.querySelector(".bubble").textContent,
        recovered: row.classList.contains("recovered"),
        own: row.classList.contains("own"),
      })),
    );
  }

  picture(name) {
    mkdirSync(screenshots, { recursive: true });
    return this.page.screenshot({ path: join(screenshots, `${name}.png`) });
  }
}
