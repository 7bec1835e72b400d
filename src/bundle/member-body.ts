// The bytes of one member of an archive, as they come: its end is known by what stands behind it.
import type { TarPiece } from './tar-pieces.ts'

export class MemberBody {
  readonly #pieces: AsyncGenerator<TarPiece>
  #isOver = false

  /** The head of the member was taken. */
  constructor(pieces: AsyncGenerator<TarPiece>) {
    this.#pieces = pieces
  }

  async *read(): AsyncGenerator<Uint8Array> {
    while (!this.#isOver) {
      const piece = await nextPiece(this.#pieces)
      if (piece?.kind === 'bytes') yield piece.raw
      else this.#isOver = true
    }
  }

  /** Whatever nobody has read. */
  async passOver(): Promise<void> {
    for await (const _ of this.read());
  }
}

/** Undefined: there are no more. */
export async function nextPiece(pieces: AsyncGenerator<TarPiece>): Promise<TarPiece | undefined> {
  const { value, done } = await pieces.next()
  return done === true ? undefined : value
}
