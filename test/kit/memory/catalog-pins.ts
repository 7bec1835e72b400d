// The pins of the catalog in memory.
import type { RecordedPin } from '../../../src/registry/ports/catalog-pins.ts'

export class MemoryPins {
  readonly #pins = new Map<string, RecordedPin>()

  list(): RecordedPin[] {
    return [...this.#pins.values()].sort(
      (one, other) => one.atMs - other.atMs || (one.name < other.name ? -1 : 1),
    )
  }

  pin(pin: RecordedPin): void {
    if (!this.#pins.has(pin.name)) this.#pins.set(pin.name, pin)
  }

  unpin(name: string): void {
    this.#pins.delete(name)
  }
}
