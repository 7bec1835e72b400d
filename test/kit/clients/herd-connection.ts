// A connection for very many bytes: answers are read into one piece of memory that all connections
// of the process share, so that a herd moves gigabytes at the price of copying them. Whoever wants
// to keep what came must copy it.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { RawAnswerParser } from './raw-answer.ts'

/** What is read at once; the kernel has some megabytes ready for a reader that was away. */
const shared = Buffer.alloc(1024 * 1024)

export interface HerdAnswer {
  /** 0 when the connection ended before the end of the head. */
  readonly status: number
  readonly complete: boolean
  readonly bodyBytes: number
}

interface Asked {
  readonly parser: RawAnswerParser
  /** Sees each piece of the body, for the moment of the call; a promise holds the reading back. */
  readonly onBytes: (piece: Buffer) => Promise<unknown> | undefined
  bodyBytes: number
  ended: (isConnected: boolean) => void
}

export class HerdConnection {
  readonly #url: URL
  #socket: Socket | undefined
  #asked: Asked | undefined

  /** Connects when it is asked something, and again when the server has closed. */
  constructor(url: string) {
    this.#url = new URL(url)
  }

  /** One GET at a time. @throws when no connection can be made */
  async get(path: string, onBytes: Asked['onBytes']): Promise<HerdAnswer> {
    const socket = (this.#socket ??= await this.#connect())
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const parser = new RawAnswerParser(false)
    const asked: Asked = { parser, onBytes, bodyBytes: 0, ended: resolve }
    this.#asked = asked
    socket.write(`GET ${path} HTTP/1.1\r\nhost: ${this.#url.host}\r\n\r\n`)
    const isConnected = await promise
    this.#asked = undefined
    if (parser.headers['connection'] === 'close') this.close()
    const complete = isConnected ? parser.done : parser.complete
    return { status: parser.status, complete, bodyBytes: asked.bodyBytes }
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  async #connect(): Promise<Socket> {
    const { hostname: host, port } = this.#url
    const onread = {
      buffer: shared,
      callback: (bytes: number): boolean => this.#take(socket, shared.subarray(0, bytes)),
    }
    const socket: Socket = connect({ host, port: Number(port), noDelay: true, onread })
    await once(socket, 'connect')
    // An error is an answer that was cut, and 'close' follows it.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined
      this.#asked?.ended(false)
    })
    return socket
  }

  /** False stops the reading. */
  #take(socket: Socket, input: Buffer): boolean {
    const asked = this.#asked
    if (asked === undefined) return true
    // An unfinished head is kept until its end has come.
    const pieces = asked.parser.push(asked.parser.status === 0 ? Buffer.from(input) : input)
    let held: Promise<unknown> | undefined
    for (const piece of pieces) {
      asked.bodyBytes += piece.length
      held = asked.onBytes(piece)
    }
    if (asked.parser.done) asked.ended(true)
    if (held === undefined) return true
    const goOn = () => void socket.resume()
    held.then(goOn, goOn)
    return false
  }
}
