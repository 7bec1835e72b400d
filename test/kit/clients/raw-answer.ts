// One HTTP/1.1 answer, parsed as its bytes come; knows whether all that was promised has arrived.
// Lenient on purpose: what a server sends is what a test is to see.

type Phase =
  | 'head'
  | 'length'
  | 'until-close'
  | 'chunk-size'
  | 'chunk'
  | 'chunk-end'
  | 'trailers'
  | 'done'

/** Longer heads are taken for a server that has gone wrong. */
const HEAD_MAX_BYTES = 256 * 1024

export class RawAnswerParser {
  status = 0
  readonly headers: Record<string, string> = {}
  readonly rawHeaders: string[] = []
  #phase: Phase = 'head'
  #rest: Buffer = Buffer.alloc(0)
  #leftBytes = 0
  readonly #bodiless: boolean

  /** `bodiless` for an answer to HEAD: its Content-Length promises nothing. */
  constructor(bodiless: boolean) {
    this.#bodiless = bodiless
  }

  /** Takes what the socket gave; returns the pieces of the body in it. */
  push(piece: Buffer): Buffer[] {
    let input: Buffer = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    const pieces: Buffer[] = []
    for (;;) {
      const rest = this.#step(input, pieces)
      if (rest === undefined) break
      input = rest
    }
    return pieces
  }

  get done(): boolean {
    return this.#phase === 'done'
  }

  /** Whether the answer is whole, given that the connection has ended now. */
  get complete(): boolean {
    return this.#phase === 'done' || this.#phase === 'until-close'
  }

  /** The rest of the input after one step, or undefined when more must come first. */
  #step(input: Buffer, pieces: Buffer[]): Buffer | undefined {
    switch (this.#phase) {
      case 'head':
        return this.#readHead(input)
      case 'length':
      case 'chunk':
        return this.#readCounted(input, pieces)
      case 'until-close':
        if (input.length > 0) pieces.push(input)
        return this.#wait(Buffer.alloc(0))
      case 'chunk-size':
      case 'chunk-end':
      case 'trailers':
        return this.#readLine(input)
      case 'done':
        return this.#wait(Buffer.alloc(0))
    }
  }

  #wait(rest: Buffer): undefined {
    this.#rest = rest
    return undefined
  }

  #readHead(input: Buffer): Buffer | undefined {
    const end = input.indexOf('\r\n\r\n')
    if (end === -1) {
      if (input.length > HEAD_MAX_BYTES) throw new Error('the head of the answer does not end')
      return this.#wait(input)
    }
    const [first = '', ...lines] = input.subarray(0, end).toString('latin1').split('\r\n')
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0)
    const rest = input.subarray(end + 4)
    // 1xx is followed by the answer proper.
    if (status >= 100 && status < 200 && status !== 101) return rest
    this.status = status
    for (const line of lines) this.#addHeader(line)
    this.#chooseBody()
    return rest
  }

  #addHeader(line: string): void {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).trim()
    this.rawHeaders.push(name, value)
    const key = name.toLowerCase()
    const before = this.headers[key]
    this.headers[key] = before === undefined ? value : `${before}, ${value}`
  }

  #chooseBody(): void {
    const length = this.headers['content-length']
    if (this.#bodiless || this.status === 204 || this.status === 304) this.#phase = 'done'
    else if (/chunked/i.test(this.headers['transfer-encoding'] ?? '')) this.#phase = 'chunk-size'
    else if (length === undefined) this.#phase = 'until-close'
    else {
      this.#leftBytes = Number(length)
      this.#phase = this.#leftBytes === 0 ? 'done' : 'length'
    }
  }

  #readCounted(input: Buffer, pieces: Buffer[]): Buffer | undefined {
    if (input.length === 0) return this.#wait(input)
    const piece = input.subarray(0, this.#leftBytes)
    pieces.push(piece)
    this.#leftBytes -= piece.length
    if (this.#leftBytes === 0) this.#phase = this.#phase === 'chunk' ? 'chunk-end' : 'done'
    return input.subarray(piece.length)
  }

  #readLine(input: Buffer): Buffer | undefined {
    const end = input.indexOf('\r\n')
    if (end === -1) return this.#wait(input)
    const line = input.subarray(0, end).toString('latin1')
    if (this.#phase === 'chunk-size') {
      this.#leftBytes = Number.parseInt(line, 16)
      this.#phase = this.#leftBytes === 0 ? 'trailers' : 'chunk'
    } else if (this.#phase === 'chunk-end') this.#phase = 'chunk-size'
    else if (line === '') this.#phase = 'done'
    return input.subarray(end + 2)
  }
}
