// The prices beside the conversation: published by one tab, shown in every other, over each transport.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_chromium, Tab } from "./browser.mjs";
import { TRANSPORTS } from "./conversation.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

const WIDE = { viewport: { width: 1_100, height: 720 } };

function publish(server, key, data) {
  const body = JSON.stringify({ key, data });
  return fetch(`${server.url}/rooms/ticker/messages`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

const shows = (tab, good, price) => tab.page.getByRole("row", { name: `${good} ${price}` }).waitFor();

for (const transport of TRANSPORTS) {
  test(`over ${transport}: the newest price of each good is shown, also what it was before one came`, async (t) => {
    const server = await Server.start(t);
    await publish(server, "salt", { price: 7 });
    await publish(server, "rope", { price: 31.5 });
    await publish(server, "salt", { price: 8.25 });
    const ana = await Tab.open(t, browser, server.url, { room: "market", name: "ana", transport, ...WIDE });
    await shows(ana, "salt", "8.25");
    await shows(ana, "rope", "31.50");
    await publish(server, "rope", { price: 30 });
    await shows(ana, "rope", "30.00");
    assert.equal(await ana.page.locator("#prices tr").count(), 2);
    assert.deepEqual(await ana.messages(), [], "prices are no chat");
  });

  test(`over ${transport}: a tab that was away has the newest prices again`, async (t) => {
    const server = await Server.start(t);
    const ana = await Tab.open(t, browser, server.url, { room: "market", name: "ana", transport, ...WIDE });
    await publish(server, "salt", { price: 7 });
    await shows(ana, "salt", "7.00");
    await ana.press("Drop");
    await ana.is("away");
    await publish(server, "salt", { price: 9 });
    await ana.press("Reconnect");
    await shows(ana, "salt", "9.00");
  });
}

test("one tab publishes until it is told to stop, and says that it does", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "market", name: "ana", ...WIDE });
  const ben = await Tab.open(t, browser, server.url, { room: "cellar", name: "ben", ...WIDE });
  await ana.press("Start the ticker");
  await ana.page.getByText("This tab makes up the prices").waitFor();
  await ben.page.locator("#prices tr").nth(2).waitFor();
  await ben.page.getByRole("button", { name: "Start the ticker" }).waitFor();
  await ana.press("Stop the ticker");
  await ana.page.getByRole("button", { name: "Start the ticker" }).waitFor();
  assert.deepEqual([...ana.complaints, ...ben.complaints], []);
});

test("what is no price harms nobody, and there is an end to goods", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "market", name: "ana", ...WIDE });
  await publish(server, "salt", null);
  await publish(server, "salt", { price: "dear" });
  for (let number = 10; number < 30; number++) await publish(server, `good ${number}`, { price: number });
  await shows(ana, "good 21", "21.00");
  assert.equal(await ana.page.locator("#prices tr").count(), 12);
  assert.deepEqual(ana.complaints, []);
});

test("on a small screen the prices are folded away until one asks for them", async (t) => {
  const server = await Server.start(t);
  const ana = await Tab.open(t, browser, server.url, { room: "market", name: "ana", viewport: { width: 390, height: 780 } });
  assert.equal(await ana.page.getByRole("button", { name: "Start the ticker" }).isVisible(), false);
  await ana.page.getByText("Ticker", { exact: true }).click();
  await ana.press("Start the ticker");
  await ana.page.locator("#prices tr").first().waitFor();
});
