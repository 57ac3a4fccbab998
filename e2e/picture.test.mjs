// The picture in the README: one conversation seen from two sides, one of which was cut off for a while. It is written to
// target/screenshots/two-tabs.png; whoever changes the page copies it to docs/images/.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { start_chromium, Tab } from "./browser.mjs";
import { screenshots } from "./places.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

const LOOK = { viewport: { width: 520, height: 720 }, deviceScaleFactor: 2, locale: "en-GB" };

async function side_by_side(pictures) {
  const page = await browser.newPage({ viewport: { width: 1_104, height: 768 }, deviceScaleFactor: 2 });
  const images = pictures.map((picture) => `<img src="data:image/png;base64,${picture.toString("base64")}">`).join("");
  const style = "body{margin:0;padding:24px;display:flex;gap:16px;background:#dfe5e1}img{width:520px;border-radius:14px;box-shadow:0 4px 24px #0002}";
  await page.setContent(`<style>${style}</style>${images}`);
  const picture = await page.screenshot({ path: join(screenshots, "two-tabs.png") });
  await page.close();
  return picture;
}

test("two tabs side by side, one of them just back over another transport", async (t) => {
  const server = await Server.start(t, { flags: ["--node", "north"] });
  const ana = await Tab.open(t, browser, server.url, { room: "harbour", name: "ana", ...LOOK });
  const ben = await Tab.open(t, browser, server.url, { room: "harbour", name: "ben", transport: "sse", ...LOOK, colorScheme: "dark" });
  await ana.say("The ferry leaves at nine.");
  await ben.sees("The ferry leaves at nine.");
  await ben.press("Drop my connection");
  await ben.is("away");
  await ana.say("Change of plan: pier 4.", "And the tide is early.");
  await ben.say("On my way!");
  await ana.has_sent_all();
  await ben.press("Reconnect");
  await ana.sees("On my way!");
  await ben.sees("And the tide is early.");
  await Promise.all([ana.has_sent_all(), ben.has_sent_all()]);
  await Promise.all([ana.lists("ana", "ben"), ben.lists("ben", "ana")]);
  await ana.page.fill("#text", "See you there");
  await ben.reads("ana is typing…");
  const picture = await side_by_side([await ana.picture("ana"), await ben.picture("ben")]);
  assert.ok(picture.length > 10_000, "the picture is not empty");
});
