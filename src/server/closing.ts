// What a start has opened and a stop has to close: a part of the composition root.

/** What has to be closed, newest first. */
export class Closing {
  readonly #steps: (() => Promise<unknown>)[] = []

  push(step: () => Promise<unknown>): void {
    this.#steps.push(step)
  }

  /**
   * Runs every step, also after one that failed: what it held may be all that the next start waits
   * for.
   * @throws the first failure
   */
  async run(): Promise<void> {
    const failures: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
