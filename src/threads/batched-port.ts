// A port that collects: what one thread says to another in one turn of the event loop crosses at
// once: waking the other thread costs more than a message, and a crowd that is told of the same
// event would do it once for each client.
import type { Message, Port } from './messages.ts'

export class BatchedPort {
  readonly #port: Port
  readonly #failed: (message: Message, error: unknown) => void
  #messages: Message[] = []
  #transfer: ArrayBuffer[] = []
  #isHeld = false
  #isDue = false

  /** `failed` is told of each message that cannot cross, after those before it have. */
  constructor(port: Port, failed: (message: Message, error: unknown) => void) {
    this.#port = port
    this.#failed = failed
  }

  /**
   * Sent in the next tick, at the end of what runs now: until then neither `message` nor its memory
   * is to be changed.
   */
  put(message: Message, transfer: readonly ArrayBuffer[] = []): void {
    this.#messages.push(message)
    this.#transfer.push(...transfer)
    if (!this.#isHeld) this.#sendSoon()
  }

  /** What is put from now on waits for release: more will follow soon. */
  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    if (this.#messages.length > 0) this.#sendSoon()
  }

  /** Nothing is sent any more. */
  end(): void {
    this.#messages = []
    this.#transfer = []
  }

  #sendSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    process.nextTick(() => {
      this.#isDue = false
      // Whoever holds it sends it later.
      if (!this.#isHeld && this.#messages.length > 0) this.#send()
    })
  }

  #send(): void {
    const messages = this.#messages
    const transfer = this.#transfer
    this.#messages = []
    this.#transfer = []
    try {
      this.#port.postMessage(messages, transfer)
    } catch {
      for (const message of messages) this.#sendAlone(message)
    }
  }

  #sendAlone(message: Message): void {
    try {
      this.#port.postMessage([message], message.kind === 'piece' ? [message.bytes.buffer] : [])
    } catch (error) {
      this.#failed(message, error)
    }
  }
}
