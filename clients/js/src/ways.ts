// Which transport is tried next, and when a better one is looked for. Pure; owned by one machine. Refuses to try anything itself.

import { is_servers_word, type Loss } from "./verdict.js";
import type { MachineOptions } from "./words.js";

const FAILURES_OF_A_PROVEN_TRANSPORT = 3;

export class Ways {
  #names: string[];
  #index: number;
  #failures = 0;
  #proven = new Set<string>();
  #is_probing = false;
  #climb_wait_ms: number;

  constructor(private readonly options: MachineOptions) {
    this.#names = options.transports;
    this.#index = Math.max(0, this.#names.indexOf(options.remembered ?? ""));
    this.#climb_wait_ms = options.climb_ms;
  }

  get transport(): string {
    return this.#names[this.#index]!;
  }

  get is_only(): boolean {
    return this.#names.length === 1;
  }

  /** Others from now on, beginning with the first. */
  use(names: string[]): void {
    this.#names = names;
    this.#index = this.#failures = 0;
  }

  /** The transport brought a session. Gives when to look for a better one. */
  worked(now_ms: number): number {
    this.#proven.add(this.transport);
    return this.#index > 0 ? now_ms + this.#climb_wait_ms : Infinity;
  }

  /** Goes to the next transport when the loss was this one's fault, and it had its chances. */
  failed(loss: Loss, lasted_ms: number, was_restart: boolean): void {
    const is_fault = !is_servers_word(loss) && !was_restart && lasted_ms < this.options.stable_ms;
    this.#failures = is_fault ? this.#failures + 1 : 0;
    const chances = this.#proven.has(this.transport) ? FAILURES_OF_A_PROVEN_TRANSPORT : 1;
    if (!loss.buffered && this.#failures < chances) return;
    this.#failures = 0;
    this.#index = (this.#index + 1) % this.#names.length;
  }

  /** Begins to look for a better one: gives the one to probe. */
  climb(): string {
    this.#is_probing = true;
    return this.#names[0]!;
  }

  /** What was found out: it is `taken`, or another one is to be probed, or there is none and it is `later` that one looks again. */
  probed(transport: string, ok: boolean, is_live: boolean): "ignored" | "taken" | "later" | { next: string } {
    const index = this.#names.indexOf(transport);
    const was_probing = this.#is_probing;
    this.#is_probing = false;
    if (!was_probing || !is_live || index < 0 || index >= this.#index) return "ignored";
    if (ok) {
      this.#index = index;
      this.#failures = 0;
      return "taken";
    }
    this.#is_probing = index + 1 < this.#index;
    if (this.#is_probing) return { next: this.#names[index + 1]! };
    this.#climb_wait_ms = Math.min(this.#climb_wait_ms * 2, this.options.climb_longest_ms);
    return "later";
  }
}
