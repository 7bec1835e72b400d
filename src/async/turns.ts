// One at a time per key: steps that read and then write the same thing, or rename under the same
// name, do not run into each other. Everybody else goes on.

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /**
   * Runs `step` after every earlier step of this key has ended, however it ended: steps begin in
   * the order of the calls, which is what facts count on.
   */
  async take<Value>(key: string, step: () => Promise<Value>): Promise<Value> {
    const before = this.#last.get(key) ?? Promise.resolve()
    return await this.#hold([key], before.then(step, step))
  }

  /**
   * Runs `step` for all of `keys`, each of which is there once: in one go for those whose turn
   * nobody has, and for each other one by itself when its turn comes, so that nobody waits with a
   * turn in hand. The first failure is thrown when all have ended.
   */
  async takeMany<Key extends string>(
    keys: readonly Key[],
    step: (keys: readonly Key[]) => Promise<void>,
  ): Promise<void> {
    const isFree = (key: Key) => !this.#last.has(key)
    const free = keys.filter(isFree)
    const others = keys.filter(key => !isFree(key))
    const waiting = others.map(key => this.take(key, () => step([key])))
    if (free.length > 0) waiting.push(this.#hold(free, Promise.resolve(free).then(step)))
    const ended = await Promise.allSettled(waiting)
    for (const each of ended) if (each.status === 'rejected') throw each.reason
  }

  async #hold<Value>(keys: readonly string[], step: Promise<Value>): Promise<Value> {
    for (const key of keys) this.#last.set(key, step)
    try {
      return await step
    } finally {
      for (const key of keys) if (this.#last.get(key) === step) this.#last.delete(key)
    }
  }
}
