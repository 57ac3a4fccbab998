// What a test has as `t`, for commands: things that are undone when it ends, the last one first. Refuses to leave anything running.

export class Scope {
  #undoing = [];

  after(undo) {
    this.#undoing.push(undo);
  }

  async end() {
    for (const undo of this.#undoing.splice(0).reverse()) await undo();
  }

  /** Runs `work(scope)`, and undoes what it did also when it fails or the command is interrupted. */
  static async during(work) {
    const scope = new Scope();
    const interrupted = () => scope.end().finally(() => process.exit(130));
    process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
    try {
      return await work(scope);
    } finally {
      process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
      await scope.end();
    }
  }
}
