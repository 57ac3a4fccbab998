// Listeners by the name of an event. Refuses to know what the events mean.

/** Takes a listener away again. */
export type Unsubscribe = () => void;

export class Listeners<Events> {
  #listeners = new Map<keyof Events, Set<(event: any) => void>>();

  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): Unsubscribe {
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all.add(listener));
    return () => void all.delete(listener);
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(event);
  }
}
