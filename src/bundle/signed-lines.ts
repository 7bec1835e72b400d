// Text of lines of JSON of which the last one signs all before it, read as its bytes come: a line
// at a time, and at its end it is known whose it is. Until then nothing of it may be believed.
import { createHash } from 'node:crypto'
import { type BundleKeyText, bundleKeyFrom, isSignedBy, statementOf } from './bundle-key.ts'
import { BundleFault } from './tar-pieces.ts'

/** A manifest may be in a thousand repositories, of 255 characters each. */
const LINE_MAX_BYTES = 1024 * 1024
const LINE_FEED = 0x0a

/** The last line of any: what it counts is for who reads it. */
export interface SignedEnd {
  readonly end: Readonly<Record<string, number>>
  /** Of all bytes before this line. */
  readonly sha256: string
  readonly key: BundleKeyText
  /** In base64, of `statementOf`. */
  readonly signature: string
}

/** As it is written, and signed. */
export function lineOf(line: object): string {
  return `${JSON.stringify(line)}\n`
}

export class SignedLines {
  readonly #what: Parameters<typeof statementOf>[0]
  readonly #hash = createHash('sha256')
  #rest: Buffer = Buffer.alloc(0)
  #isBegun = false
  #end: SignedEnd | undefined

  constructor(what: Parameters<typeof statementOf>[0]) {
    this.#what = what
  }

  /** Once all has come. @throws BundleFault where that is not all of it */
  finish(): SignedEnd {
    if (this.#rest.length === 0 && this.#end !== undefined) return this.#end
    throw new BundleFault(`the ${this.#what} ends before its end`, { isCut: true })
  }

  /** It has come. */
  get isAtEnd(): boolean {
    return this.#end !== undefined
  }

  /** The lines that end in these bytes, the last one of all as well. @throws BundleFault */
  *push(bytes: Uint8Array): Generator<object> {
    let rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes])
    for (let feed = rest.indexOf(LINE_FEED); feed !== -1; feed = rest.indexOf(LINE_FEED)) {
      const line = this.#read(rest.subarray(0, feed + 1))
      rest = rest.subarray(feed + 1)
      yield line
    }
    if (rest.length > LINE_MAX_BYTES) throw this.fault('has a line that is too long')
    this.#rest = rest
  }

  fault(what: string): BundleFault {
    return new BundleFault(`the ${this.#what} ${what}`)
  }

  #read(bytes: Buffer): object {
    if (this.#end !== undefined) throw this.fault('goes on behind its signature')
    const line = this.#parse(bytes)
    if (this.#isBegun && 'end' in line) return this.#readEnd(line as SignedEnd)
    this.#isBegun = true
    this.#hash.update(bytes)
    return line
  }

  #readEnd(line: SignedEnd): SignedEnd {
    const sha256 = this.#hash.digest('hex')
    if (line.sha256 !== sha256) throw this.fault('is not the one that was signed')
    const key = typeof line.key === 'string' ? bundleKeyFrom(line.key) : undefined
    const signature = Buffer.from(String(line.signature), 'base64')
    const isPlain = signature.toString('base64') === line.signature
    if (
      key === undefined ||
      !isPlain ||
      !isSignedBy(key, statementOf(this.#what, sha256), signature)
    )
      throw this.fault('is not signed by the key that it names')
    this.#end = line
    return line
  }

  #parse(bytes: Buffer): object {
    try {
      const line: unknown = JSON.parse(bytes.toString('utf8'))
      if (typeof line === 'object' && line !== null) return line
    } catch {}
    throw this.fault('has a line that is no JSON')
  }
}
