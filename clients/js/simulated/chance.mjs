// Chance that a seed decides, and a clock with a queue of what happens when. Refuses real time.

/** Numbers from 0 up to 1 (mulberry32). */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Clock {
  #heap = [];
  #count = 0;

  /** Begins long after 1970, as clocks do: positions are times. */
  constructor(now = 1_800_000_000_000) {
    this.now = now;
  }

  /** Calls back at that time, after all that was asked for the same time before. Gives what takes it back. */
  at(time, act) {
    const entry = { time: Math.max(time, this.now), count: (this.#count += 1), act };
    this.#push(entry);
    return () => (entry.act = undefined);
  }

  after(ms, act) {
    return this.at(this.now + ms, act);
  }

  /** Goes on for so long. */
  run(ms) {
    const end = this.now + ms;
    while (this.#heap.length > 0 && this.#heap[0].time <= end) {
      const { time, act } = this.#pop();
      this.now = time;
      act?.();
    }
    this.now = end;
  }

  #push(entry) {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    for (let above; at > 0 && is_before(heap[at], heap[(above = (at - 1) >> 1)]); at = above) swap(heap, at, above);
  }

  #pop() {
    const heap = this.#heap;
    swap(heap, 0, heap.length - 1);
    const first = heap.pop();
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && is_before(heap[left], heap[least])) least = left;
      if (right < heap.length && is_before(heap[right], heap[least])) least = right;
      if (least === at) return first;
      swap(heap, at, least);
      at = least;
    }
  }
}

const is_before = (one, other) => one.time < other.time || (one.time === other.time && one.count < other.count);

function swap(heap, one, other) {
  [heap[one], heap[other]] = [heap[other], heap[one]];
}
