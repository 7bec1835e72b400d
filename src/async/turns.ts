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
    const mine = before.then(step, step)
    this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}
