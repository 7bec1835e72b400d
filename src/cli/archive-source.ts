// What is imported, as a plain tar, whatever it is: a file may be compressed, and a directory may
// be a layout. So the server unpacks nothing, and a file that unpacks to more than anybody would
// have packed ends this command alone.
import {
  constants,
  createGunzip,
  createZstdDecompress,
  type Gunzip,
  type ZstdDecompress,
} from 'node:zlib'
import { CliError, EXIT_CODES } from './context.ts'

/** gzip of zeros alone packs a thousand times, zstd more; images pack three times. */
const RATIO_MAX = 200
/** Below, whatever packs well may be honest: an archive of a few small files. */
const UNPACKED_UNLESS_BYTES = 64 * 1024 * 1024
/** `zstd --long=27`: what its writers may ask of a reader's memory, 128 MiB. */
const ZSTD_WINDOW_LOG_MAX = 27

type Unpacking = Gunzip | ZstdDecompress

interface Unpackable {
  readonly unpack: () => Unpacking
  /** Several, one behind another, are one. */
  readonly hasFrames: boolean
}

interface Packing {
  readonly name: string
  readonly magic: readonly number[]
  /** Undefined: none that Node has. */
  readonly how?: Unpackable
}

const PACKINGS: readonly Packing[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], how: { unpack: () => createGunzip(), hasFrames: false } },
  {
    name: 'zstd',
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    how: {
      unpack: () =>
        createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } }),
      hasFrames: true,
    },
  },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58] },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68] },
]
const MAGIC_BYTES = 4

/** The same, unpacked. @throws CliError for what is packed another way, or too well */
export async function* unpacked(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { first, all } = await beginningOf(source)
  const packing = PACKINGS.find(({ magic }) => magic.every((byte, at) => first[at] === byte))
  if (packing === undefined) yield* all
  else if (packing.how === undefined)
    throw new CliError(
      EXIT_CODES.failed,
      `it is packed by ${packing.name}: "${packing.name} -dc FILE | entrepot import -" unpacks it`,
    )
  else yield* within(all, packing.how)
}

async function* within(
  packed: AsyncIterable<Uint8Array>,
  packing: Unpackable,
): AsyncGenerator<Uint8Array> {
  let packedBytes = 0
  let unpackedBytes = 0
  async function* counted() {
    for await (const piece of packed) {
      packedBytes += piece.length
      yield piece
    }
  }
  for await (const piece of framesOf(counted(), packing)) {
    unpackedBytes += piece.length
    if (unpackedBytes > UNPACKED_UNLESS_BYTES && unpackedBytes > packedBytes * RATIO_MAX)
      throw new CliError(
        EXIT_CODES.failed,
        `it unpacks to more than ${RATIO_MAX} times its length, as no images do: unpack it yourself if it is honest`,
      )
    yield piece
  }
}

/**
 * Where a frame ends in the middle of a piece, as those of pzstd do, Node 24 takes no more and
 * ends: the rest is for another one. Behind the last member of a gzip stands nothing that counts.
 */
async function* framesOf(
  packed: AsyncGenerator<Uint8Array>,
  { unpack, hasFrames }: Unpackable,
): AsyncGenerator<Uint8Array> {
  let rest = await nextOf(packed)
  try {
    while (rest !== undefined) {
      const unpacking = unpack()
      const feeding = feed(unpacking, rest, packed)
      // What fails comes out of the loop below.
      feeding.catch((error: unknown) => {
        unpacking.destroy(error instanceof Error ? error : new Error(String(error)))
      })
      yield* unpacking as AsyncIterable<Uint8Array>
      const left = await feeding
      rest = hasFrames ? left : undefined
    }
  } finally {
    // It may be waiting for a piece, which nobody wants any more.
    void packed.return(undefined)
  }
}

/** Resolves to what is behind its end; undefined: nothing. */
async function feed(
  unpacking: Unpacking,
  first: Uint8Array,
  packed: AsyncGenerator<Uint8Array>,
): Promise<Uint8Array | undefined> {
  let piece: Uint8Array | undefined = first
  for (; piece !== undefined; piece = await nextOf(packed)) {
    const before = unpacking.bytesWritten
    if (piece.length > 0) await write(unpacking, piece)
    const taken = unpacking.bytesWritten - before
    if (taken < piece.length) {
      piece = piece.subarray(taken)
      break
    }
  }
  unpacking.end()
  return piece
}

function write(unpacking: Unpacking, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    unpacking.write(piece, error => (error == null ? resolve() : reject(error)))
  })
}

async function nextOf(pieces: AsyncGenerator<Uint8Array>): Promise<Uint8Array | undefined> {
  const next = await pieces.next()
  return next.done === true ? undefined : next.value
}

/** Its first bytes, which are read once more with all others. */
async function beginningOf(source: AsyncIterable<Uint8Array>) {
  const iterator = source[Symbol.asyncIterator]()
  const pieces: Uint8Array[] = []
  let first = Buffer.alloc(0)
  while (first.length < MAGIC_BYTES) {
    const next = await iterator.next()
    if (next.done === true) break
    pieces.push(next.value)
    first = Buffer.concat([first, next.value.subarray(0, MAGIC_BYTES)])
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      yield* pieces
      for (;;) {
        const next = await iterator.next()
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await iterator.return?.()
    }
  }
  return { first, all: all() }
}
