// Prints every message of a room once, whatever the network does in between.
// Usage: node examples/follow.mjs [ws://127.0.0.1:8080] [room]     (Node.js 22; with 20: node --experimental-websocket …)

const [address = "ws://127.0.0.1:8080", room = "lobby"] = process.argv.slice(2);
let position = 0;
let delay_ms = 1_000;

function print({ id, user_id = "guest", text, data, data_base64 }) {
  if (id <= position) return;
  position = id;
  console.log(`${user_id}: ${text ?? data_base64 ?? JSON.stringify(data)}`);
}

function follow() {
  const socket = new WebSocket(`${address}/ws`);
  socket.onopen = () => socket.send(JSON.stringify({ type: "hello", rooms: [room], positions: { [room]: position } }));
  socket.onmessage = (event) => {
    const frame = JSON.parse(event.data);
    if (frame.type === "session") delay_ms = 1_000;
    if (frame.type === "restore") {
      frame.messages.forEach(print);
      position = Math.max(position, frame.last_message_id);
    }
    if (frame.type === "message") print(frame);
    if (frame.type === "gap") console.log(`(messages between ${frame.after} and ${frame.before} may be lost: ${frame.reason})`);
    if (frame.type === "error") console.error(frame.message);
  };
  // Node.js 20 tells a failed attempt by `error` alone, others by `error` and `close`: come back once, whichever it is.
  socket.onerror = socket.onclose = () => {
    socket.onerror = socket.onclose = null;
    socket.close();
    setTimeout(follow, delay_ms * (0.5 + Math.random() / 2));
    delay_ms = Math.min(delay_ms * 2, 30_000);
  };
}

follow();
