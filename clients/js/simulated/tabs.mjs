// A browser with tabs that share a connection, as a simulation: real tabs, members, leaders and machines, on a channel, a lock and a network
// that follow from a seed. A tab can be opened, closed, killed and frozen. Refuses to check anything; it writes down what each
// application was told.

import { source } from "../tool.mjs";
import { chance, Clock } from "./chance.mjs";
import { Server } from "./server.mjs";

const { Tab } = await source("shared/tab.ts");
const { Machine } = await source("machine.ts");

export class Browser {
  clock = new Clock();
  tabs = new Set();
  #lock = { holder: null, queue: [] };

  constructor(seed, { kept = 10_000 } = {}) {
    this.random = chance(seed);
    this.server = new Server(this.clock, kept);
  }

  open(options) {
    const page = new Page(this, options);
    this.tabs.add(page);
    page.tab.handle({ type: "open" });
    return page;
  }

  get awake() {
    return [...this.tabs].filter(({ is_frozen }) => !is_frozen);
  }

  /** Tasks of one page come in their order, and later. */
  task(page, act, may_be_lost = false) {
    page.busy_until = Math.max(page.busy_until, this.clock.now + Math.floor(this.random() * 5));
    this.clock.at(page.busy_until, () => page.run(act, may_be_lost));
  }

  post(from, words) {
    const copy = structuredClone(words);
    for (const page of this.tabs) if (page !== from) this.task(page, () => page.tab.heard(structuredClone(copy)), true);
  }

  lock(page, how) {
    const lock = this.#lock;
    lock.queue = lock.queue.filter((waiting) => waiting !== page);
    if (lock.holder === page) lock.holder = null;
    if (how === "steal") {
      const robbed = lock.holder;
      lock.holder = page;
      if (robbed) this.task(robbed, () => lock.holder !== robbed && robbed.tab.robbed());
      this.task(page, () => lock.holder === page && page.tab.granted());
    } else if (how === "request") {
      lock.queue.push(page);
    }
    this.#grant();
  }

  #grant() {
    const lock = this.#lock;
    if (lock.holder || lock.queue.length === 0) return;
    const page = (lock.holder = lock.queue.shift());
    this.task(page, () => lock.holder === page && page.tab.granted());
  }
}

export class Page {
  is_frozen = false;
  busy_until = 0;
  /** What the application was told, by room: messages and gaps in their order. */
  rooms = new Map();
  /** What became of what it sent, by its text. */
  sent = new Map();
  states = [];
  #waiting = [];
  #refs = 0;
  #drivers = new Set();

  constructor(browser, { loses_while_frozen = false } = {}) {
    this.browser = browser;
    this.loses_while_frozen = loses_while_frozen;
    let disarm = () => {};
    const around = {
      now: () => browser.clock.now,
      random: browser.random,
      post: (words) => browser.post(this, words),
      lock: (how) => browser.lock(this, how),
      alarm: (at_ms) => {
        disarm();
        if (at_ms < Infinity) disarm = browser.clock.at(at_ms, () => this.run(() => this.tab.tick()));
      },
      drive: (machine, tell) => {
        const driver = new Driver(this, machine, tell);
        this.#drivers.add(driver);
        return driver;
      },
    };
    this.tab = new Tab(around, 100, (event) => this.#told(event));
  }

  /** Now, or once the page is awake; never once it is gone. */
  run(act, may_be_lost = false) {
    if (!this.browser.tabs.has(this)) return;
    if (!this.is_frozen) act();
    else if (!may_be_lost || !this.is_told || !this.loses_while_frozen) this.#waiting.push(act);
  }

  join(room, after = null) {
    if (!this.rooms.has(room)) this.rooms.set(room, { wanted_at: after ?? this.browser.clock.now * 1_000, begins_at: after, told: [] });
    this.tab.handle({ type: "join", room, after });
  }

  leave(room) {
    this.rooms.delete(room);
    this.tab.handle({ type: "leave", room });
  }

  send(room, text) {
    const ref = `${this.tab.id} ${(this.#refs += 1)}`;
    this.sent.set(text, { room, ref, outcome: null });
    this.tab.handle({ type: "send", ref, frame: { type: "message", room, text } });
  }

  /** The application closes its client. */
  close() {
    this.tab.handle({ type: "close" });
    this.browser.tabs.delete(this);
  }

  /** As a crash does: nobody is told. */
  kill() {
    this.browser.tabs.delete(this);
    this.browser.lock(this, "release");
    for (const driver of this.#drivers) driver.die();
  }

  /** `is_told`: whether the browser says so first. */
  freeze(is_told) {
    if (is_told) this.tab.freeze();
    this.is_frozen = true;
    this.is_told = is_told;
  }

  thaw() {
    this.is_frozen = false;
    const waiting = this.#waiting.splice(0);
    if (this.is_told) this.tab.resume();
    for (const act of waiting) act();
    this.tab.tick();
  }

  #told(event) {
    if (event.type === "state") this.states.push(event.state);
    const room = this.rooms.get(event.room);
    if (event.type === "message" && room) room.told.push({ id: event.message.id });
    if (event.type === "gap" && room) room.told.push({ after: event.after, before: event.before });
    if (event.type === "joined" && room) room.begins_at ??= event.position;
    if (!["ack", "refused"].includes(event.type)) return;
    for (const sent of this.sent.values()) if (sent.ref === event.ref) (sent.outcomes ??= []).push(event.type === "ack" ? event.id : event.code);
  }
}

/** What drives a machine, on a network where everything takes its time and connections may break. */
class Driver {
  latency_ms = null;
  #commands = [];
  #is_running = false;
  #connection = null;
  #disarm = () => {};

  constructor(page, options, tell) {
    this.page = page;
    this.browser = page.browser;
    this.tell = tell;
    this.machine = new Machine({ ...options, queue_max: 1_000 }, page.browser.random, (command) => this.#commands.push(command));
  }

  position(room) {
    return this.machine.positions.of(room);
  }

  handle(event) {
    this.machine.handle(this.browser.clock.now, event);
    if (this.#is_running) return;
    this.#is_running = true;
    for (let command; (command = this.#commands.shift()); ) this.#obey(command);
    this.#is_running = false;
    this.#disarm();
    const { due_ms } = this.machine;
    if (due_ms < Infinity) this.#disarm = this.browser.clock.at(due_ms, () => this.page.run(() => this.handle({ type: "tick" })));
  }

  die() {
    this.#hang_up();
  }

  #obey(command) {
    switch (command.do) {
      case "connect": return this.#connect(command.hello);
      case "drop": return this.#hang_up();
      case "say": return this.#say(command.frame);
      case "tell": return this.tell(command.event);
    }
  }

  #connect(hello) {
    const { server, clock, random } = this.browser;
    const line = { up: clock.now, down: clock.now, is_open: true };
    const later = (way, act) => {
      line[way] = Math.max(line[way], clock.now + 1 + Math.floor(random() * 20));
      clock.at(line[way], act);
    };
    const lost = (loss) =>
      later("down", () =>
        this.page.run(() => {
          if (this.#connection !== line) return;
          this.#connection = null;
          this.handle({ type: "lost", ...loss });
        }),
      );
    line.say = (frame) => later("up", () => line.is_open && server.hear(line.far, structuredClone(frame)));
    line.cut = (loss = {}) => {
      if (!line.is_open) return;
      line.is_open = false;
      server.disconnect(line.far);
      lost(loss);
    };
    line.far = server.connect(
      (frame) => line.is_open && later("down", () => this.page.run(() => this.#connection === line && this.handle({ type: "frame", frame }))),
      (loss) => line.cut(loss),
    );
    line.far.cut = line.cut;
    this.#connection = line;
    if (this.browser.is_down) return line.cut({ code: 1006 });
    line.say({ ...hello });
  }

  #say(frame) {
    this.#connection?.say(frame);
  }

  #hang_up() {
    const line = this.#connection;
    this.#connection = null;
    // What was said is on its way; the server hears of the end after it.
    line?.say({ type: "end" });
    if (line) this.browser.clock.after(25, () => ((line.is_open = false), this.browser.server.disconnect(line.far)));
  }
}
