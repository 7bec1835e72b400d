// Whether somebody waits for what else is done in the background. That takes its time: clients of
// others are answered on the same few cores meanwhile.

export class Haste {
  #waiting = 0

  /** Does anybody wait? */
  get isOn(): boolean {
    return this.#waiting > 0
  }

  /** Somebody waits until `work` has ended, however it does. */
  async of<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#waiting += 1
    try {
      return await work()
    } finally {
      this.#waiting -= 1
    }
  }
}
