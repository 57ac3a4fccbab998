// Waiting for what must become true, with a deadline that only a failure reaches. Refuses to wait for time to pass.

export const DEADLINE_MS = 20_000;

/** Gives the promise's value, or fails naming what did not happen. */
export function soon(what, promise, deadline_ms = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`did not happen within ${deadline_ms} ms: ${what}`)), deadline_ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks again, as soon as the last answer is there, until it is one that fits; gives that. */
export async function until(what, ask, fits = Boolean, deadline_ms = DEADLINE_MS) {
  let is_late = false;
  const asking = async () => {
    let answer;
    do answer = await ask();
    while (!fits(answer) && !is_late);
    return answer;
  };
  return soon(what, asking(), deadline_ms).finally(() => (is_late = true));
}

/** A queue that is read by condition: `take` gives the first entry that fits, now or when it comes, and removes it. */
export class Arrivals {
  #entries = [];
  #waiting = [];

  push(entry) {
    const reader = this.#waiting.findIndex(({ fits }) => fits(entry));
    if (reader < 0) this.#entries.push(entry);
    else this.#waiting.splice(reader, 1)[0].resolve(entry);
  }

  take(what, fits = () => true) {
    const index = this.#entries.findIndex(fits);
    if (index >= 0) return Promise.resolve(this.#entries.splice(index, 1)[0]);
    return soon(`${what}; there was only ${JSON.stringify(this.#entries)}`, new Promise((resolve) => this.#waiting.push({ fits, resolve })));
  }

  /** What came and was not taken. */
  get rest() {
    return [...this.#entries];
  }
}

/** Something that changes, and who waits for it to have changed enough. */
export class Watched {
  #waiting = [];
  #error;

  /** Nobody waits any more. */
  fail(error) {
    this.#error = error;
    this.#waiting.forEach(({ reject }) => reject(error));
  }

  changed() {
    this.#waiting.filter(({ is_so }) => is_so()).forEach(({ resolve }) => resolve());
    this.#waiting = this.#waiting.filter(({ is_so }) => !is_so());
  }

  until(what, is_so) {
    if (this.#error) return Promise.reject(this.#error);
    if (is_so()) return Promise.resolve();
    return soon(what, new Promise((resolve, reject) => this.#waiting.push({ is_so, resolve, reject })));
  }
}
