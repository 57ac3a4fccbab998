// A WebSocket client of any make, read by condition. Owns the socket until the test ends. It needs only what every
// implementation has: `send`, `close`, and the four `on…` handlers.

import { Arrivals, soon } from "./wait.mjs";

export class Peer {
  #frames = new Arrivals();
  #opened = Promise.withResolvers?.() ?? with_resolvers();
  #closed = Promise.withResolvers?.() ?? with_resolvers();

  constructor(t, socket) {
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened.resolve();
    socket.onmessage = ({ data }) => this.#frames.push(typeof data === "string" ? JSON.parse(data) : Buffer.from(data));
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) => this.#closed.resolve({ code, reason });
    t.after(() => socket.close());
  }

  opened() {
    return soon("the WebSocket opens", this.#opened.promise);
  }

  closed() {
    return soon("the WebSocket closes", this.#closed.promise);
  }

  send(frame) {
    this.socket.send(typeof frame === "string" || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  /** The first frame of this type, now or when it comes, that also has these fields. */
  receives(type, fields = {}) {
    const fits = (frame) => frame.type === type && Object.entries(fields).every(([name, value]) => frame[name] === value);
    return this.#frames.take(`${type} ${JSON.stringify(fields)} is received`, fits);
  }

  /** The next frame, whatever it is. */
  next() {
    return this.#frames.take("a frame is received");
  }

  /** What was received and not asked for. */
  get rest() {
    return this.#frames.rest;
  }
}

// Promise.withResolvers came with Node.js 22.
function with_resolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
