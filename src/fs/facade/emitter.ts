// Events, in the manner of Node's EventEmitter, in every runtime.

type Listener = (...values: never[]) => void;

interface Entry {
  readonly listener: Listener;
  readonly once: boolean;
}

/** What has events. An "error" that nobody listens to is thrown. */
export class Emitter {
  readonly #entries = new Map<string | symbol, Entry[]>();

  on(event: string | symbol, listener: Listener): this {
    return this.#add(event, { listener, once: false });
  }

  once(event: string | symbol, listener: Listener): this {
    return this.#add(event, { listener, once: true });
  }

  off(event: string | symbol, listener: Listener): this {
    const entries = this.#entries.get(event) ?? [];
    const index = entries.findLastIndex((entry) => entry.listener === listener);
    // Whoever goes through the list now has the old one.
    if (index >= 0) this.#entries.set(event, entries.toSpliced(index, 1));
    return this;
  }

  addListener(event: string | symbol, listener: Listener): this {
    return this.on(event, listener);
  }

  removeListener(event: string | symbol, listener: Listener): this {
    return this.off(event, listener);
  }

  removeAllListeners(event?: string | symbol): this {
    if (event === undefined) this.#entries.clear();
    else this.#entries.delete(event);
    return this;
  }

  listenerCount(event: string | symbol): number {
    return this.#entries.get(event)?.length ?? 0;
  }

  /** @returns whether anybody listened */
  emit(event: string | symbol, ...values: readonly unknown[]): boolean {
    const entries = this.#entries.get(event);
    if (!entries?.length) {
      if (event === "error") throw values[0];
      return false;
    }
    for (const { listener, once } of entries) {
      if (once) this.off(event, listener);
      listener.apply(this, values as never[]);
    }
    return true;
  }

  #add(event: string | symbol, entry: Entry): this {
    this.#entries.set(event, [...(this.#entries.get(event) ?? []), entry]);
    return this;
  }
}
