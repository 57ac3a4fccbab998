// How the page looks. The picture in the README is one conversation seen from two sides, one of which was cut off for a while: it is
// written to target/screenshots/two-tabs.png, and whoever changes the page copies it to docs/images/. Beside it are a phone and a
// desktop, in light and dark, to be looked at; what a machine can see of them is tested here.

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
  await ben.press("Drop");
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

const SCREENS = { "small-phone": [360, 640], phone: [390, 844], "big-phone": [500, 900], tablet: [768, 1_024], laptop: [1_024, 720], desktop: [1_280, 800] };
const WITH_PICTURE = ["phone", "desktop"];

/** Labels and texts that do not fit into their elements, and buttons of the one group that are not in one row. */
function what_is_cut_off() {
  const wide = Array.from(document.querySelectorAll(".chat, .top, .break, .place, .side, .scroll, button, #state, .options span"));
  const cut = wide.filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0);
  const outside = Array.from(document.querySelectorAll("button, input, #state")).filter((element) => {
    const { left, right } = element.getBoundingClientRect();
    return left < 0 || right > innerWidth;
  });
  const rows = new Set(Array.from(document.querySelectorAll(".break button"), (button) => Math.round(button.getBoundingClientRect().top)));
  return [...cut, ...outside].filter((element) => element.checkVisibility()).map((element) => element.id || element.className || element.textContent).concat(rows.size === 1 ? [] : ["the buttons are in two rows"]);
}

async function all_is_in_place(tab, state, then = () => {}) {
  for (const [screen, [width, height]] of Object.entries(SCREENS)) {
    await tab.page.setViewportSize({ width, height });
    assert.deepEqual(await tab.page.evaluate(what_is_cut_off), [], `${screen}, ${state}`);
    await then(screen);
  }
}

for (const colorScheme of ["light", "dark"]) {
  test(`on every screen all is in its place, whatever the state: ${colorScheme}`, async (t) => {
    const server = await Server.start(t, { flags: ["--node", "north"] });
    const ana = await Tab.open(t, browser, server.url, { room: "harbour", name: "ana" });
    const ben = await Tab.open(t, browser, server.url, { room: "harbour", name: "ben", deviceScaleFactor: 2, locale: "en-GB", colorScheme });
    await ana.page.locator("#ticker summary").click();
    await ana.press("Start the ticker");
    await ana.say("The ferry leaves at nine.");
    await ben.sees("The ferry leaves at nine.");
    await ben.say("Is there room for a bicycle? It has a trailer, and the trailer has a dog in it.");
    await ben.has_sent_all();
    const is_away = ben.is("waiting", "connecting");
    await ben.page.locator("#offline").click();
    await is_away;
    await ben.say("I am in a tunnel.");
    await all_is_in_place(ben, "offline");
    await ana.say("Change of plan: pier 4.");
    await ana.has_sent_all();
    await ben.page.locator("#offline").click();
    await ben.sees("Change of plan: pier 4.");
    await ana.sees("I am in a tunnel.");
    await ben.has_sent_all();
    await ana.page.fill("#text", "pier 4");
    await ben.reads("ana is typing…");
    await all_is_in_place(ben, "back", async (screen) => {
      if (WITH_PICTURE.includes(screen)) await ben.picture(`${screen}-${colorScheme}`);
    });
  });
}
