// Everybody's pointer. A binary frame is a message to the one room its connection is in: four bytes, how far to the right and how far
// down, in 65,535ths of the window. Without history there is nothing to catch up with, so a plain WebSocket is enough.

const SEND_EVERY_MS = 40; // 25 a second; the server takes 100 frames of one connection
const COME_BACK_MS = 1_000;

const state = document.getElementById("state");
const query = new URLSearchParams(location.search);
const user = query.get("user") ?? `guest ${Math.floor(Math.random() * 1_000)}`;
const address = `${query.get("server") ?? "http://127.0.0.1:8080"}/ws/cursors/${encodeURIComponent(user)}`.replace(/^http/, "ws");

const pointers = new Map(); // by user
let socket;
let place = null; // where the own pointer went and was not told yet

function connect() {
  socket = new WebSocket(address);
  socket.onopen = () => (state.textContent = "Move your pointer.");
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onclose = () => {
    state.textContent = "reconnecting";
    for (const name of [...pointers.keys()]) forget(name);
    setTimeout(connect, COME_BACK_MS * (0.5 + Math.random()));
  };
}

function hear({ type, user_id, data_base64 }) {
  if (user_id === user) return;
  if (type === "message" && data_base64) move(user_id, Uint8Array.from(atob(data_base64), (character) => character.codePointAt(0)));
  if (type === "user_left") forget(user_id);
}

function move(name, bytes) {
  if (bytes.length !== 4) return;
  const view = new DataView(bytes.buffer);
  if (!pointers.has(name)) pointers.set(name, make_pointer(name));
  pointers.get(name).style.left = `${(view.getUint16(0) / 655.35).toFixed(2)}%`;
  pointers.get(name).style.top = `${(view.getUint16(2) / 655.35).toFixed(2)}%`;
}

function make_pointer(name) {
  const pointer = Object.assign(document.createElement("div"), { className: "pointer" });
  pointer.style.setProperty("--hue", Array.from(name).reduce((sum, character) => (sum * 31 + character.codePointAt(0)) % 360, 0));
  pointer.append(Object.assign(document.createElement("span"), { textContent: name }));
  document.body.append(pointer);
  return pointer;
}

function forget(name) {
  pointers.get(name)?.remove();
  pointers.delete(name);
}

addEventListener("pointermove", ({ clientX, clientY }) => (place = [clientX / innerWidth, clientY / innerHeight]));

setInterval(() => {
  // Whoever does not move says nothing, and what the network does not take is not piled up.
  if (!place || socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > 0) return;
  const view = new DataView(new ArrayBuffer(4));
  place.forEach((part, index) => view.setUint16(2 * index, Math.max(0, Math.min(1, part)) * 65_535));
  socket.send(view);
  place = null;
}, SEND_EVERY_MS);

connect();
