// A session over one WebSocket: frames both ways, and `hello` with all positions as the first. Owns the socket. Refuses to
// come back by itself: `Connection` opens a new transport for each attempt.

import { Silence } from "./silence.js";

const OPEN_TIMEOUT_MS = 10_000;

// Close codes after which coming back by oneself would only repeat the refusal, or fight another tab for the session.
const FINAL_CLOSE_CODES = new Map([
  [1008, "The server does not allow this."],
  [4000, "Another connection took over this session."],
  [4003, "The token expired."],
]);

export class WebSocketTransport {
  #socket;
  #silence;

  /** @param {import("./connection.js").Attempt} attempt */
  constructor({ base, user_id, rooms, positions, session_id, on_frame, on_lost, WebSocket = globalThis.WebSocket }) {
    const url = new URL("ws", base);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url.href);
    // The browser answers the server's pings without telling the page, so the page asks for a sign of life itself.
    const silence = new Silence({ ask: () => this.send({ type: "ping" }), give_up: () => on_lost({}) });
    silence.allow(OPEN_TIMEOUT_MS);
    let settled = false;
    socket.onopen = () => this.send({ type: "hello", user_id, rooms, positions, session_id: session_id ?? undefined });
    socket.onmessage = ({ data }) => {
      const frame = parse(data);
      if (frame?.type === "session") {
        settled = true;
        silence.watch(frame.ping_interval_ms);
      }
      if (settled) silence.heard();
      on_frame(frame);
    };
    socket.onclose = ({ code, reason }) => {
      on_lost({ final_reason: FINAL_CLOSE_CODES.has(code) ? reason || FINAL_CLOSE_CODES.get(code) : undefined });
    };
    this.#socket = socket;
    this.#silence = silence;
  }

  send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Gives the connection up unless the server shows a sign of life within this time. */
  doubt(answer_within_ms) {
    this.#silence.doubt(answer_within_ms);
  }

  close() {
    this.#silence.end();
    this.#socket.close();
  }
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
