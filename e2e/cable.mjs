// A cable between client and server that can be cut: a TCP forwarder. Owns both ends of every connection through it. `cut`
// lets nothing pass and tells nobody, as a dead network does; `tear` resets; `mend` lets new connections through.

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Cable {
  #sockets = new Set();
  #cut = false;
  #listener;

  /** A cable to a port of this machine, with a port of its own. It is removed when the test `t` ends. */
  static async lay(t, port) {
    const cable = new Cable();
    cable.#listener = createServer((near) => cable.#join(near, port));
    cable.#listener.listen(0, "127.0.0.1");
    await once(cable.#listener, "listening");
    cable.port = cable.#listener.address().port;
    cable.url = `http://127.0.0.1:${cable.port}`;
    t.after(() => cable.#remove());
    return cable;
  }

  cut() {
    this.#cut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  tear() {
    this.#cut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** What was in flight when it was cut stays lost: those connections are gone. */
  mend() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#cut = false;
  }

  #join(near, port) {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      from.on("data", (bytes) => this.#cut || to.write(bytes));
      from.on("end", () => this.#cut || to.end());
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        if (!this.#cut) to.destroy();
      });
    }
    if (this.#cut) this.cut();
  }

  #remove() {
    this.tear();
    this.#listener.close();
  }
}
