// The page's line to the server, which can be made to go silent as in a tunnel: nothing comes in, nothing goes out, and nothing
// ends. The server is told nothing, no close and no abort. When the line is back, what was on it is dead, as the server learns by what
// comes anew, and what was begun meanwhile goes out. Owns every WebSocket and every `fetch` of the page. Refuses to be more than a page can: below it the
// browser still acknowledges bytes and answers pings, so the server takes its time to miss somebody.

const NO_CONTENT = 204;
/** A browser notices a little later; what had come already has been read by then. */
const NOTICE_MS = 250;
/** After so long what nobody took the place of is closed. */
const FORGET_MS = 5_000;
const ABNORMAL = { code: 1_006, reason: "" };

export class Cable {
  #silent_until = null;
  #timers = [];
  /** Sockets and requests that have not ended: whether each is dead, and how it is ended. */
  #lines = new Set();
  /** What was begun in silence. */
  #begun = new Set();
  #fetch = globalThis.fetch.bind(globalThis);
  /** Called when it falls silent and when it is back. */
  listener = () => {};

  constructor() {
    const cable = this;
    this.WebSocket = function (url) {
      return cable.#is_silent ? cable.#later_socket(url) : cable.#socket(url);
    };
    globalThis.fetch = (resource, options) => this.#request(resource, options);
  }

  /** When it is back, in milliseconds since 1970; null while it is there. */
  get silent_until() {
    return this.#silent_until;
  }

  /** Goes silent for a while. The client is told what browsers tell when they have no network. */
  fall_silent(for_ms) {
    if (this.#is_silent) return;
    this.#silent_until = Date.now() + for_ms;
    for (const line of this.#lines) line.is_dead = true;
    this.#timers = [setTimeout(() => dispatchEvent(new Event("offline")), NOTICE_MS), setTimeout(() => this.mend(), for_ms)];
    this.listener();
  }

  mend() {
    if (!this.#is_silent) return;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#silent_until = null;
    const [dead, begun] = [[...this.#lines], [...this.#begun]];
    this.#lines.clear();
    this.#begun.clear();
    for (const line of dead) line.end();
    for (const go_on of begun) go_on();
    dispatchEvent(new Event("online"));
    this.listener();
  }

  get #is_silent() {
    return this.#silent_until !== null;
  }

  #line() {
    const line = { is_dead: false, end: () => {} };
    this.#lines.add(line);
    return line;
  }

  #socket(url) {
    const line = this.#line();
    const socket = new WebSocket(url);
    const { send, close } = socket;
    // These listeners are the first, so nobody behind them hears of anything.
    for (const kind of ["open", "message", "error", "close"]) {
      socket.addEventListener(kind, (event) => line.is_dead && event.stopImmediatePropagation());
    }
    socket.addEventListener("close", () => this.#lines.delete(line));
    socket.send = (text) => line.is_dead || send.call(socket, text);
    socket.close = () => line.is_dead || close.call(socket);
    line.end = () => {
      socket.onclose?.(ABNORMAL);
      setTimeout(() => close.call(socket), FORGET_MS);
    };
    return socket;
  }

  /** Stands for a socket that connects when the line is back. */
  #later_socket(url) {
    const stand_in = { readyState: WebSocket.CONNECTING, send() {}, close: () => this.#begun.delete(connect) };
    const connect = () => {
      const socket = this.#socket(url);
      for (const handler of ["onopen", "onmessage", "onerror", "onclose"]) {
        socket[handler] = (event) => {
          stand_in.readyState = socket.readyState;
          stand_in[handler]?.(event);
        };
      }
      stand_in.send = (text) => socket.send(text);
      stand_in.close = () => socket.close();
    };
    this.#begun.add(connect);
    return stand_in;
  }

  async #request(resource, { signal, ...options } = {}) {
    signal?.throwIfAborted();
    if (this.#is_silent) await this.#back(signal);
    const line = this.#line();
    const abort = new AbortController();
    const end = new Promise((_, fail) => {
      line.end = () => {
        fail(new TypeError("The line was silent."));
        setTimeout(() => abort.abort(), FORGET_MS);
      };
      signal?.addEventListener("abort", () => {
        fail(signal.reason);
        if (!line.is_dead) abort.abort();
      });
    });
    // Whoever asked may have gone before it ends.
    end.catch(() => {});
    try {
      const response = await Promise.race([this.#fetch(resource, { ...options, signal: abort.signal }), end]);
      return line.is_dead ? await end : this.#heard(response, line, end);
    } catch (error) {
      if (line.is_dead) return await end;
      this.#lines.delete(line);
      throw error;
    }
  }

  #back(signal) {
    return new Promise((go_on, fail) => {
      this.#begun.add(go_on);
      signal?.addEventListener("abort", () => {
        this.#begun.delete(go_on);
        fail(signal.reason);
      });
    });
  }

  /** The response, with a body from which nothing comes while the line is dead. */
  #heard({ body, status, statusText, headers }, line, end) {
    const passage = new TransformStream({
      start: (out) => void end.catch((error) => out.error(error)),
      transform: (bytes, out) => line.is_dead || out.enqueue(bytes),
      flush: () => (line.is_dead ? end : undefined),
    });
    const is_over = () => line.is_dead || this.#lines.delete(line);
    // It is not cancelled when whoever reads it gives up while the line is dead: the server would be told.
    body?.pipeTo(passage.writable, { preventCancel: true }).then(is_over, is_over);
    if (!body) is_over();
    const has_body = body && status !== NO_CONTENT;
    return new Response(has_body ? passage.readable : null, { status, statusText, headers });
  }
}
