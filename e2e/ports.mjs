// Ports for programs that cannot pick one and tell.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A port of 127.0.0.1 that was free a moment ago. */
export async function free_port() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

/** Waits until somebody accepts connections there. */
export async function accepts(port) {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const accepted = await new Promise((resolve) => socket.once("connect", () => resolve(true)).once("error", () => resolve(false)));
    socket.destroy();
    if (accepted) return;
  }
}
