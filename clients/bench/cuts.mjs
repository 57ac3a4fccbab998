// What is done to the clients: each has a cable of its own, and those of one seat are cut at the same moments, whatever kind of client
// is behind them and whichever transport it uses. Owns the cables. Refuses to know what passes.

import { Cable } from "../../e2e/cable.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Seat {
  cables = [];
  /** `{cut_ms, mended_ms}`, by `performance.now()`. */
  cuts = [];

  async add_cable(t, port) {
    const cable = await Cable.lay(t, port);
    this.cables.push(cable);
    return cable.url;
  }

  /**
   * Cuts so many times for `down_ms`, after between half and one and a half of `up_ms`. Every other cut ends all connections at once, in
   * the middle of whatever was said; in the others nothing passes and nobody is told, until the line is mended and the connections
   * turn out to be gone. What is begun meanwhile hangs, and is gone as well.
   */
  async suffer(cuts, { down_ms, up_ms, random }) {
    for (let cut = 0; cut < cuts; cut += 1) {
      await pause(up_ms * (0.5 + random()));
      const cut_ms = performance.now();
      for (const cable of this.cables) cut % 2 === 0 ? cable.tear() : cable.cut();
      await pause(down_ms);
      for (const cable of this.cables) cable.mend();
      this.cuts.push({ cut_ms, mended_ms: performance.now() });
    }
  }
}
