// The programs in examples/, run as their first lines say.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { start_chromium } from "./browser.mjs";
import { Cable } from "./cable.mjs";
import { python, repository } from "./places.mjs";
import { accepts, free_port } from "./ports.mjs";
import { Server } from "./server.mjs";
import { Arrivals, DEADLINE_MS, soon, until } from "./wait.mjs";

let browser;
before(async () => (browser = await start_chromium()));
after(() => browser?.close());

const example = (name) => join(repository, "examples", name);

/** A running example: `lines` is what it printed, `say` its input. */
function run(t, program, ...words) {
  // Two programs that print into one pipe would tear each other's lines if each wrote its words and their end apart.
  const env = { ...process.env, PYTHONUNBUFFERED: "", PYTHON: python, PYTHONPATH: join(repository, "clients/python/src") };
  const child = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"], env });
  t.after(() => child.kill());
  const lines = new Arrivals();
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const ended = once(child, "exit").then(([code]) => code);
  return { child, lines, say: (text) => child.stdin.end(text), ended: () => soon(`${words[0]} ends`, ended) };
}

const follow = (t, address, room) => {
  const flags = process.versions.node.startsWith("20.") ? ["--experimental-websocket", "--no-warnings"] : [];
  return run(t, process.execPath, ...flags, example("follow.mjs"), address, room);
};

test("follow.mjs prints what say.py says, once each, over a network that tears", async (t) => {
  const [major] = process.versions.node.split(".").map(Number);
  if (major < 20) return t.skip(`Node.js ${process.versions.node} has no WebSocket of its own`);
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const follower = follow(t, cable.url.replace("http", "ws"), "stage");
  const say = async (text) => {
    const speaker = run(t, python, example("say.py"), server.websocket_url, "stage", "hamlet");
    speaker.say(text);
    assert.equal(await speaker.ended(), 0);
    return speaker.lines.rest.map(Number);
  };

  const first_ids = await say("To be,\nor not to be,\n");
  for (const line of ["hamlet: To be,", "hamlet: or not to be,"]) assert.equal(await follower.lines.take("a line"), line);
  cable.tear();
  const second_ids = await say("that is the question:\n");
  cable.mend();
  assert.equal(await follower.lines.take("the missed line"), "hamlet: that is the question:");
  assert.deepEqual(follower.lines.rest, []);
  const ids = [...first_ids, ...second_ids];
  assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
  assert.equal(ids.length, 3);
});

test("publish.sh stores its message once and reads it back", async (t) => {
  const server = await Server.start(t);
  const { stdout } = await promisify(execFile)(example("publish.sh"), [server.url, "deploys"], { timeout: 20_000 });
  const [first, second, history] = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(first.id, second.id);
  assert.deepEqual(history.messages.map(({ id, data }) => [id, data]), [[first.id, { event: "deployed", version: 42 }]]);
});

test("the notifications of backend.py reach inbox.py: those before it came, live ones, and those that it missed", async (t) => {
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const notify = async (text) => {
    const backend = run(t, python, example("notifications/backend.py"), server.url);
    backend.say(text);
    assert.equal(await backend.ended(), 0);
  };
  await notify("ana: Your order was taken\nben: not for ana\n");
  const inbox = run(t, python, example("notifications/inbox.py"), cable.url, "ana");
  assert.equal(await inbox.lines.take("the early one"), "ana: Your order was taken");
  await notify("ana: It is on its way\n");
  assert.equal(await inbox.lines.take("a live one"), "ana: It is on its way");
  cable.tear();
  await notify("ana: Nobody was at home\n");
  cable.mend();
  assert.equal(await inbox.lines.take("the missed one"), "ana: Nobody was at home");
  assert.deepEqual(inbox.lines.rest, []);
});

test("notifications/start.sh shows what its backend was told", async (t) => {
  const server = await Server.start(t);
  const both = run(t, example("notifications/start.sh"), server.url);
  await both.lines.take("the first notification", (line) => line === "ana: Welcome");
  both.say("ana: Your parcel is here\n");
  assert.equal(await both.ended(), 0);
});

/** An example with a page, served as its start.sh does; gives a way to open it as somebody, and to have the browser's complaints. */
async function pages(t, name, server) {
  const port = await free_port();
  const served = run(t, example(`${name}/start.sh`), server.url, String(port));
  const invitation = await served.lines.take("it says where to go");
  assert.ok(invitation.includes(`http://127.0.0.1:${port}/?server=${server.url}`), invitation);
  await soon("the page is served", accepts(port));
  const complaints = [];
  const open = async (user) => {
    const context = await browser.newContext({ viewport: { width: 800, height: 600 } });
    t.after(() => context.close());
    context.setDefaultTimeout(DEADLINE_MS);
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(`http://127.0.0.1:${port}/?${new URLSearchParams({ server: server.url, user })}`);
    return page;
  };
  return { open, complaints, origin: `http://127.0.0.1:${port}` };
}

const publish = (server, room, body) =>
  fetch(`${server.url}/rooms/${room}/messages`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

test("chat: two pages of another origin talk, see each other type, and miss nothing while they are offline", async (t) => {
  const server = await Server.start(t);
  const { open, complaints } = await pages(t, "chat", server);
  const [ana, ben] = [await open("ana"), await open("ben")];
  for (const page of [ana, ben]) await page.getByRole("status").filter({ hasText: "live over websocket" }).waitFor();
  await ana.locator("#people", { hasText: "ana, ben" }).waitFor();
  await ben.fill("#text", "Is the tide early?");
  await ana.locator("#typing", { hasText: "ben is typing…" }).waitFor();
  await ben.press("#text", "Enter");
  await ana.locator("li", { hasText: "Is the tide early?" }).waitFor();
  await ana.context().setOffline(true);
  await ana.fill("#text", "typed offline");
  await ana.press("#text", "Enter");
  await ben.fill("#text", "It is.");
  await ben.press("#text", "Enter");
  await ben.locator("li.own", { hasText: "It is." }).waitFor();
  await ana.context().setOffline(false);
  await ana.locator("li", { hasText: "It is." }).waitFor();
  await ben.locator("li", { hasText: "typed offline" }).waitFor();
  const ids = (page) => page.locator("li:not(.waiting)").evaluateAll((rows) => rows.map((row) => row.lastChild.textContent));
  await until("nothing waits any more", async () => (await ana.locator("li.waiting").count()) + (await ben.locator("li.waiting").count()) === 0);
  assert.deepEqual((await ids(ana)).sort(), ["Is the tide early?", "It is.", "typed offline"]);
  assert.deepEqual(await ids(ana), await ids(ben));
  assert.deepEqual(complaints, []);
});

test("cursors: each page shows where the other's pointer is, in a room that keeps nothing", async (t) => {
  const settings = readFileSync(example("cursors/tidings.toml"), "utf8");
  const server = await Server.start(t, { settings, flags: ["--presence-grace-ms", "100"] });
  const { open, complaints } = await pages(t, "cursors", server);
  const [ana, ben] = [await open("ana"), await open("ben")];
  for (const page of [ana, ben]) await page.getByRole("status").filter({ hasText: "Move your pointer." }).waitFor();
  const pointer = (page) => page.locator(".pointer").evaluateAll((all) => all.map(({ style, textContent }) => [textContent, style.left, style.top]).join());
  for (const [x, y, shown] of [[200, 150, "ana,25%,25%"], [720, 60, "ana,90%,10%"]]) {
    await ana.mouse.move(x, y, { steps: 20 });
    await until(`ben sees ${shown}`, () => pointer(ben), (now) => now === shown);
  }
  await ben.mouse.move(400, 300);
  await until("ana sees ben", () => pointer(ana), (now) => now === "ben,50%,50%");
  const { messages } = await (await fetch(`${server.url}/rooms/cursors/messages`)).json();
  assert.deepEqual(messages, []);
  await ana.context().close();
  await until("ana's pointer is gone", () => pointer(ben), (now) => now === "");
  assert.deepEqual(complaints, []);
});

test("ticker: a reader that stops has the newest price of each good when it goes on, and is spared the others", async (t) => {
  // The prices of this test are large, so that fewer are enough.
  const settings = `${readFileSync(example("ticker/tidings.toml"), "utf8")}history_bytes = 100_000_000\n`;
  const server = await Server.start(t, { settings });
  const reader = run(t, python, example("ticker/read.py"), server.url);
  const price = (key, price, words = {}) => publish(server, "ticker", { key, data: { price, ...words } });
  // It is there when it prints the first one.
  await until("it prints a price", () => price("barley", 0).then(() => sleep(50)).then(() => reader.lines.rest.length > 0));
  reader.child.kill("SIGSTOP");
  // Together more than what outbox and kernel hold for one connection.
  const FILLING = "x".repeat(48 * 1_024);
  const goods = ["barley", "cocoa", "tin"];
  const COUNT = 600;
  for (let number = 1; number <= COUNT; number += 1) assert.ok((await price(goods[number % 3], number, { FILLING })).ok);
  reader.child.kill("SIGCONT");
  const newest = new Map();
  let printed = 0;
  while (newest.size < 3 || Math.min(...newest.values()) < COUNT - 2) {
    const [good, value] = (await reader.lines.take("the newest prices")).split(/ +/);
    assert.ok(Number(value) >= (newest.get(good) ?? 0), `${good}: ${value} after ${newest.get(good)}`);
    newest.set(good, Number(value));
    printed += 1;
  }
  assert.deepEqual(Object.fromEntries(newest), { barley: COUNT, cocoa: COUNT - 2, tin: COUNT - 1 });
  assert.ok(printed < COUNT, `${printed} of ${COUNT} were printed: it was spared none`);
});

test("ticker/start.sh publishes prices, and prints them", async (t) => {
  const server = await Server.start(t, { settings: readFileSync(example("ticker/tidings.toml"), "utf8") });
  const both = run(t, example("ticker/start.sh"), server.url, "100");
  for (let count = 0; count < 5; count += 1) await both.lines.take("a price", (line) => /^[a-z]+ +\d+\.\d\d$/.test(line));
  both.child.kill("SIGTERM");
  assert.equal(await both.ended(), 1);
});

test("long-poll: whoever is interrupted, however rudely, goes on where it stopped and misses nothing", async (t) => {
  const server = await Server.start(t);
  const folder = mkdtempSync(join(tmpdir(), "tidings-e2e-"));
  t.after(() => rmSync(folder, { recursive: true, maxRetries: 5 }));
  const follow_polls = () => run(t, python, example("long-poll/follow.py"), server.url, "news", join(folder, "cursor.txt"));
  const wanted = [];
  const say = async (text) => {
    wanted.push(`ana: ${text}`);
    assert.ok((await publish(server, "news", { text, user_id: "ana" })).ok);
  };
  await say("before anybody came");
  const seen = [];
  const see_all = async (follower) => {
    while (seen.at(-1) !== wanted.at(-1)) seen.push(await follower.lines.take("a line"));
  };
  for (let round = 0; round < 4; round += 1) {
    const follower = follow_polls();
    await say(`${round}: while it comes`);
    await see_all(follower);
    await say(`${round}: while it waits`);
    await see_all(follower);
    follower.child.kill("SIGKILL");
    await follower.ended();
    await say(`${round}: while it is away`);
  }
  const last = follow_polls();
  await see_all(last);
  last.child.kill("SIGKILL");
  await last.ended();
  // What it was killed over may be there again, and nothing else.
  const again = seen.filter((line, index) => seen.indexOf(line) < index);
  assert.deepEqual([...new Set(seen)], wanted);
  assert.ok(again.length <= 8, again.join());
});

test("long-poll/start.sh says what is typed and follows the room", async (t) => {
  const server = await Server.start(t);
  const folder = mkdtempSync(join(tmpdir(), "tidings-e2e-"));
  t.after(() => rmSync(folder, { recursive: true, maxRetries: 5 }));
  const both = run(t, example("long-poll/start.sh"), server.url, "news", join(folder, "cursor.txt"));
  await both.lines.take("its own first message", (line) => line === "guest: Anybody here?");
  both.child.stdin.write('100 % "quoted" & more\n');
  await both.lines.take("the second one", (line) => line === 'guest: 100 % "quoted" & more');
  both.say("");
  assert.equal(await both.ended(), 0);
});
