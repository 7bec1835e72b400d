// A tar archive, read strictly and piece by piece as it comes: heads, bytes, and what is between.
// Put together again the pieces are the archive, so who checks it can pass it on. No more than a
// head is ever in memory, and nothing is made of a name here: what a member may be called, and
// whether it may be what it is, whoever reads says.
import { checksumOf, paddingOf, TAR_BLOCK_BYTES } from './tar-head.ts'

/** What is wrong with a file, for people: where, and what. */
export class BundleFault extends Error {
  /** It ends before its end: what comes next may be right. */
  readonly isCut: boolean

  constructor(message: string, { isCut = false } = {}) {
    super(message)
    this.name = 'BundleFault'
    this.isCut = isCut
  }
}

export interface ReadMember {
  readonly name: string
  readonly sizeBytes: number
  /** `other`: a hard link, a device, a sparse file, or what nobody knows. */
  readonly kind: 'file' | 'directory' | 'symbolic link' | 'other'
  /** Of a symbolic link: where it says that it leads. */
  readonly target?: string
}

export type TarPiece =
  /** `raw`: the member's head, with what stood before it and is about it. */
  | { readonly kind: 'head'; readonly member: ReadMember; readonly raw: Uint8Array }
  /** Of the member whose head came last. */
  | { readonly kind: 'bytes'; readonly raw: Uint8Array }
  /** Behind the last bytes of a member, one for each member, often empty. */
  | { readonly kind: 'padding'; readonly raw: Uint8Array }
  /** Behind the last member. */
  | { readonly kind: 'end'; readonly raw: Uint8Array }

/** Of a name, so much is told. */
const NAME_SHOWN_LENGTH = 300
/** What GNU tar says of files with holes: their bytes are others than those that stand there. */
const SPARSE = 'GNU.sparse.'
/** More than any site has images, and few enough to be counted. */
const MEMBERS_MAX = 1_000_000
/** Of names and sizes that a block cannot say; longest are digests of 128 characters. */
const EXTENSION_MAX_BYTES = 64 * 1024

/** @throws BundleFault for what is no archive, or none that is read here */
export async function* tarPieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarPiece> {
  const bytes = new ByteQueue(source)
  for (let members = 0; ; members += 1) {
    if (members === MEMBERS_MAX) throw fault(bytes, `there are more than ${MEMBERS_MAX} members`)
    const head = await readHead(bytes)
    if (head === undefined) break
    const { member } = head
    yield { kind: 'head', ...head }
    for (let left = member.sizeBytes; left > 0; ) {
      const raw = await bytes.some(left)
      if (raw === undefined) throw cut(bytes)
      left -= raw.length
      yield { kind: 'bytes', raw }
    }
    yield { kind: 'padding', raw: await bytes.exactly(paddingOf(member.sizeBytes)) }
  }
  const second = await bytes.exactly(TAR_BLOCK_BYTES)
  const end = Buffer.concat([Buffer.alloc(TAR_BLOCK_BYTES), second])
  // Some writers fill their last record with zeros.
  for (let raw: Uint8Array | undefined = end; raw !== undefined; raw = await bytes.some(Infinity)) {
    if (raw.some(byte => byte !== 0)) throw fault(bytes, 'something stands behind the end')
    yield { kind: 'end', raw }
  }
}

interface Head {
  readonly member: ReadMember
  readonly raw: Uint8Array
}

interface Extension {
  name?: string
  sizeBytes?: number
  target?: string
}

/** Undefined at the end, of which the first block was taken. */
async function readHead(bytes: ByteQueue): Promise<Head | undefined> {
  const raw: Uint8Array[] = []
  const said: Extension = {}
  for (;;) {
    const block = await bytes.exactly(TAR_BLOCK_BYTES)
    if (block.every(byte => byte === 0)) {
      if (raw.length === 0) return undefined
      throw fault(bytes, 'the end comes where a member was announced')
    }
    raw.push(block)
    const { sizeBytes, type, ...own } = readBlock(block, bytes)
    if (!EXTENSIONS.has(type)) {
      const member = memberOf({ ...own, sizeBytes, ...said }, type)
      if (member.kind !== 'file' && member.sizeBytes > 0)
        throw fault(bytes, `${shownName(member)} is no file, and has bytes`)
      return { member, raw: Buffer.concat(raw) }
    }
    if (sizeBytes > EXTENSION_MAX_BYTES || raw.length > 8)
      throw fault(bytes, 'what is said of a member is too long')
    const text = Buffer.from(await bytes.exactly(sizeBytes))
    raw.push(text, await bytes.exactly(paddingOf(sizeBytes)))
    if (type === 'L') said.name = untilZero(text)
    else if (type === 'K') said.target = untilZero(text)
    else if (type === 'x') readPax(text, said, bytes)
    else refuseForAll(text, bytes)
  }
}

/** What is said of the member behind it: by pax, of all that follow, and by GNU tar. */
const EXTENSIONS: ReadonlySet<string> = new Set(['x', 'g', 'L', 'K'])

const KINDS: Readonly<Record<string, ReadMember['kind']>> = {
  '2': 'symbolic link',
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '5': 'directory',
}

function memberOf({ name, sizeBytes, target }: Required<Extension>, type: string): ReadMember {
  const kind = KINDS[type] ?? 'other'
  return kind === 'symbolic link' ? { name, sizeBytes, kind, target } : { name, sizeBytes, kind }
}

/** For messages. */
export function shownName({ name = '' }: { readonly name?: string }): string {
  return JSON.stringify(name.slice(0, NAME_SHOWN_LENGTH))
}

function readBlock(block: Buffer, bytes: ByteQueue) {
  if (readOctal(block.subarray(148, 156)) !== checksumOf(block))
    throw fault(bytes, 'this is no head of a member')
  const sizeBytes = readOctal(block.subarray(124, 136))
  if (sizeBytes === undefined) throw fault(bytes, 'a member has no size')
  const prefix = block.toString('latin1', 257, 262) === 'ustar' ? block.subarray(345, 500) : ''
  const directory = prefix === '' ? '' : untilZero(prefix)
  const name = untilZero(block.subarray(0, 100))
  return {
    name: directory === '' ? name : `${directory}/${name}`,
    sizeBytes,
    target: untilZero(block.subarray(157, 257)),
    type: String.fromCharCode(block[156] ?? 0),
  }
}

/** Undefined for what is no number that can be counted with. */
function readOctal(field: Buffer): number | undefined {
  // Larger than octal digits can say, as GNU writes it: a binary number behind this bit.
  if (((field[0] ?? 0) & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, (field[0] ?? 0) & 0x7f)
    return Number.isSafeInteger(value) ? value : undefined
  }
  const text = field
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trimStart()
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined
}

function readPax(text: Buffer, said: Extension, bytes: ByteQueue): void {
  for (const { key, value } of paxRecords(text, bytes)) {
    if (key === 'path') said.name = value
    if (key === 'linkpath') said.target = value
    if (key.startsWith(SPARSE)) throw fault(bytes, `${shownName(said)} is sparse`)
    if (key === 'size') {
      if (!/^[0-9]{1,15}$/.test(value)) throw fault(bytes, 'a member has no size')
      said.sizeBytes = Number(value)
    }
  }
}

/** Readers do not agree on what that means, and writers of images say no such thing. */
function refuseForAll(text: Buffer, bytes: ByteQueue): void {
  for (const { key } of paxRecords(text, bytes))
    if (key === 'path' || key === 'linkpath' || key === 'size' || key.startsWith(SPARSE))
      throw fault(bytes, `the ${key} of all members is said at once`)
}

function* paxRecords(text: Buffer, bytes: ByteQueue): Generator<{ key: string; value: string }> {
  for (let at = 0; at < text.length; ) {
    const space = text.indexOf(0x20, at)
    const length = space === -1 ? Number.NaN : Number(text.toString('latin1', at, space))
    const end = at + length
    if (!(length > 0 && end <= text.length && text[end - 1] === 0x0a))
      throw fault(bytes, 'what is said of a member cannot be read')
    const record = text.toString('utf8', space + 1, end - 1)
    const equals = record.indexOf('=')
    yield { key: record.slice(0, equals), value: record.slice(equals + 1) }
    at = end
  }
}

function untilZero(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? field.length : end)
}

function fault({ position }: ByteQueue, what: string): BundleFault {
  return new BundleFault(`at byte ${position}: ${what}`)
}

function cut({ position }: ByteQueue): BundleFault {
  return new BundleFault(`it ends at byte ${position}, before its end`, { isCut: true })
}

/** What has come and was not taken yet. */
class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>
  #rest: Uint8Array = Buffer.alloc(0)
  /** Taken so far. */
  position = 0

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** At most so many, of at least one; undefined: there are no more. */
  async some(most: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#source.next()
      if (next.done === true) return undefined
      this.#rest = next.value
    }
    const taken = this.#rest.subarray(0, Math.min(most, this.#rest.length))
    this.#rest = this.#rest.subarray(taken.length)
    this.position += taken.length
    return taken
  }

  /** @throws BundleFault where there are fewer */
  async exactly(length: number): Promise<Buffer> {
    const whole = Buffer.alloc(length)
    for (let at = 0; at < length; ) {
      const taken = await this.some(length - at)
      if (taken === undefined) throw cut(this)
      whole.set(taken, at)
      at += taken.length
    }
    return whole
  }
}
