// Work that may be made to stand still for a while: whoever does it asks between its steps.

export class Standstill {
  #over: Promise<void> | undefined
  #end = () => {}

  get isOn(): boolean {
    return this.#over !== undefined
  }

  begin(): void {
    if (this.#over !== undefined) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#over = promise
    this.#end = resolve
  }

  end(): void {
    this.#over = undefined
    this.#end()
  }

  /** Resolves when it is over, or the signal is aborted; at once while there is none. */
  async pass(signal: AbortSignal): Promise<void> {
    while (this.#over !== undefined && !signal.aborted) {
      const left = new AbortController()
      const aborted = new Promise<void>(resolve => {
        signal.addEventListener('abort', () => resolve(), { once: true, signal: left.signal })
      })
      await Promise.race([this.#over, aborted])
      left.abort()
    }
  }
}
