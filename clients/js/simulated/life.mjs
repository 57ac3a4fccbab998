// A browser's life as a seed decides it, and what must be true at its end: what each application was told is compared with what the
// server stored. Refuses to be told what happened in between.

import assert from "node:assert/strict";

import { Browser } from "./tabs.mjs";

const ROOMS = ["news", "sport", "quiet"];

/** Everything that was promised to one page. */
function check(page, server, where) {
  for (const [name, { wanted_at, begins_at, told }] of page.rooms) {
    const here = `${where}, tab ${page.tab.id}, room ${name}`;
    const ids = told.flatMap(({ id }) => id ?? []);
    ids.forEach((id, at) => assert.ok(at === 0 || id > ids[at - 1], `${here}: ${id} came after ${ids[at - 1]}`));
    const gaps = told.filter(({ after }) => after !== undefined);
    const has = new Set(ids);
    // Position 0 asks for all that is kept.
    const begin = (begins_at === 0 && ids[0] !== undefined && !server.kept_all ? ids[0] - 1 : begins_at) ?? Infinity;
    for (const { id } of server.stored.get(name) ?? []) {
      // Who wants a room live is not promised what was there before.
      if (id <= Math.max(begin, wanted_at) || has.has(id)) continue;
      assert.ok(gaps.some(({ after, before }) => after < id && (before === null || id < before)), `${here}: ${id} is missing and no gap says so; it begins at ${begins_at} and was told ${JSON.stringify(told)}`);
    }
    assert.ok(begins_at !== null, `${here}: never told that it is in`);
  }
  for (const [text, { room, outcomes = [] }] of page.sent) {
    const copies = (server.stored.get(room) ?? []).filter((message) => message.text === text);
    assert.equal(outcomes.length, 1, `${where}: "${text}" is told about once: ${outcomes}`);
    if (typeof outcomes[0] === "number") assert.deepEqual(copies.map(({ id }) => id), outcomes, `${where}: "${text}" is stored once`);
    else assert.ok(copies.length <= 1 && outcomes[0] === "outcome_unknown", `${where}: "${text}" ${outcomes} and ${copies.length} copies`);
  }
}

/** Heals the world, lets it come to rest, and looks at everybody. */
function settle(browser, where) {
  browser.is_down = false;
  for (const page of browser.tabs) if (page.is_frozen) page.thaw();
  browser.clock.run(120_000);
  for (const room of ROOMS) browser.server.publish(room, `last in ${room}`);
  browser.clock.run(30_000);
  const pages = [...browser.tabs];
  assert.equal(pages.filter(({ tab }) => tab.role === "leader").length, pages.length > 0 ? 1 : 0, `${where}: one tab leads of ${pages.length}`);
  assert.ok(browser.server.connections.size <= 1, `${where}: ${browser.server.connections.size} connections`);
  for (const page of pages) {
    assert.equal(page.states.at(-1), "live", `${where}: ${page.tab.role} ${page.states}`);
    check(page, browser.server, where);
  }
}

export function live_through(seed, { kept, crashes = false, steps = 120, watch = () => {} }) {
  const browser = new Browser(seed, { kept });
  watch(browser);
  const { random, clock, server } = browser;
  const one_of = (list) => list[Math.floor(random() * list.length)];
  const is_lossy = random() < 0.3;
  let texts = 0;
  for (let step = 0; step < steps; step += 1) {
    const page = one_of(browser.awake);
    const room = one_of(ROOMS);
    const luck = random();
    if (!page || (luck < 0.08 && browser.tabs.size < 8)) {
      const opened = browser.open({ loses_while_frozen: is_lossy });
      if (random() < 0.7) opened.join(one_of(ROOMS), random() < 0.3 ? 0 : null);
    } else if (luck < 0.4) page.send(room, `message ${(texts += 1)}`);
    else if (luck < 0.5) page.join(room, random() < 0.3 ? 0 : null);
    else if (luck < 0.53) page.leave(room);
    else if (luck < 0.56) page.close();
    else if (luck < 0.6) page.kill();
    else if (luck < 0.65) page.freeze(random() < 0.5);
    else if (luck < 0.7) one_of([...browser.tabs].filter(({ is_frozen }) => is_frozen))?.thaw();
    else if (luck < 0.74) for (const connection of server.connections) connection.cut({ code: 1006 });
    else if (luck < 0.76) browser.is_down = !browser.is_down;
    else if (luck < 0.77) server.sessions.clear();
    else if (luck < 0.78 && crashes) server.crash();
    else server.publish(room, `other ${(texts += 1)}`);
    // Mostly all at once, sometimes after a while, seldom after longer than anybody waits.
    clock.run(random() < 0.6 ? Math.floor(random() * 15) : random() < 0.95 ? Math.floor(random() * 3_000) : Math.floor(random() * 400_000));
  }
  settle(browser, `seed ${seed}`);
  return browser;
}
