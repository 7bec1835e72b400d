// Shared work: whoever asks for the same thing while it is being fetched gets the same promise. The
// work belongs to nobody in particular, so no client's going away ends it, and its error reaches
// every waiter.

export class Flights<Value> {
  readonly #running = new Map<string, Promise<Value>>()

  /** Joins what runs under `key`, or starts it. `joined` tells which of the two. */
  run(key: string, start: () => Promise<Value>): { promise: Promise<Value>; joined: boolean } {
    const running = this.#running.get(key)
    if (running !== undefined) return { promise: running, joined: true }
    const promise = start().finally(() => {
      if (this.#running.get(key) === promise) this.#running.delete(key)
    })
    this.#running.set(key, promise)
    return { promise, joined: false }
  }

  /**
   * Nobody joins what runs under `key` any more: its answer is old news to whoever asks from now
   * on.
   */
  close(key: string): void {
    this.#running.delete(key)
  }

  /** As `close`, of all whose keys are meant. */
  closeAll(isMeant: (key: string) => boolean): void {
    for (const key of this.#running.keys()) if (isMeant(key)) this.close(key)
  }

  get size(): number {
    return this.#running.size
  }
}
