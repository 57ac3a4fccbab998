// Clients as the textbook's chapter has them, in words of our own: they come back, and take no position along.
//
// websocket: after a close, a pause of 1 s that doubles up to 30 s, and is 1 s again once a connection is open. What is said while
//   there is none is dropped.
// sse: an `EventSource` left to itself. It comes back after the pause that the server named, and sends `Last-Event-ID` of its own accord:
//   of the three, only this one knows where it stood. With `--closes` it is closed at the first error, which is what the chapter prints.
// poll: polls without a cursor, one after the other, and 5 s of pause after an error.
//
// The last two cannot speak.

import { load } from "../../../e2e/places.mjs";
import { speak, task, tell } from "./told.mjs";

const WebSocket = load("ws");
const { EventSource } = load("eventsource");

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
const POLL_AGAIN_MS = 5_000;

const hear = (seat, frame) => frame?.type === "message" && tell(seat, "got", frame.id);

function websocket(seat, { url, room, name }) {
  const address = `${url.replace("http", "ws")}/ws/${room}/${name}`;
  let pause_ms = FIRST_MS;
  let socket;
  const connect = () => {
    socket = new WebSocket(address);
    socket.onopen = () => (pause_ms = FIRST_MS);
    socket.onmessage = ({ data }) => hear(seat, JSON.parse(data));
    socket.onerror = () => {};
    socket.onclose = () =>
      setTimeout(() => {
        pause_ms = Math.min(pause_ms * 2, LONGEST_MS);
        connect();
      }, pause_ms);
  };
  connect();
  speak(name, (text) => {
    tell(seat, "said", text);
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "message", text }));
  });
}

function sse(seat, { url, room, name }) {
  const source = new EventSource(`${url}/events?${new URLSearchParams({ room, user_id: name })}`);
  source.addEventListener("message", ({ data }) => hear(seat, JSON.parse(data)));
  source.addEventListener("error", () => process.argv.includes("--closes") && source.close());
}

async function poll(seat, { url, room, name }) {
  for (;;) {
    try {
      const response = await fetch(`${url}/poll/${name}?${new URLSearchParams({ room, user_id: name })}`);
      const { data } = await response.json();
      if (data) hear(seat, data);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, POLL_AGAIN_MS));
    }
  }
}

const begin = { websocket, sse, poll }[task.transport];
task.seats.forEach((where, seat) => void begin(seat, where));
