// One at a time per name: publishing a blob and moving a bad one away both rename under the same name, and the second must not move
// what the first has just put there. Steps begin in the order of the calls, which is what facts count on.

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs `step` after every earlier step of this name has ended, however it ended. */
  async take<T>(name: string, step: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve()
    const mine = before.then(step, step)
    this.#last.set(name, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(name) === mine) this.#last.delete(name)
    }
  }
}
