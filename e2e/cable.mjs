// A cable between client and server that can be cut: a TCP forwarder. Owns both ends of every connection through it. `cut`
// lets nothing pass and tells nobody, as a dead network does; `deafen` loses only what the server says; `tear` ends every
// connection in the middle of whatever it said; `mend` lets new connections through.

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Cable {
  #sockets = new Set();
  #up = true;
  #down = true;
  #listener;
  /** When each connection came, by `Date.now()`: for whoever counts them. */
  joined_ms = [];

  /** A cable to a port of this machine, with a port of its own. It is removed when the test `t` ends. */
  static async lay(t, port) {
    const cable = new Cable();
    cable.#listener = createServer((near) => cable.#join(near, port));
    cable.#listener.listen(0, "127.0.0.1");
    await once(cable.#listener, "listening");
    cable.port = cable.#listener.address().port;
    cable.url = `http://127.0.0.1:${cable.port}`;
    t.after(() => {
      cable.tear();
      cable.#listener.close();
    });
    return cable;
  }

  cut() {
    this.#up = this.#down = false;
  }

  deafen() {
    this.#down = false;
  }

  tear() {
    this.cut();
    this.#end_all();
  }

  /** What was in flight when it was cut stays lost: those connections are gone. */
  mend() {
    this.#end_all();
    this.#up = this.#down = true;
  }

  // Not `resetAndDestroy`: on a socket that is being shut down it fails, and Node.js then spins for ever when it exits.
  #end_all() {
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near, port) {
    this.joined_ms.push(Date.now());
    const far = connect(port, "127.0.0.1");
    this.#lead(near, far, () => this.#up);
    this.#lead(far, near, () => this.#down);
  }

  #lead(from, to, passes) {
    this.#sockets.add(from);
    from.on("data", (bytes) => passes() && to.write(bytes));
    from.on("end", () => passes() && to.end());
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      if (passes()) to.destroy();
    });
  }
}
