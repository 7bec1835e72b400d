// What stands before a member of a tar archive, written: ustar (POSIX.1-1988), and a pax header
// only where that cannot say it. No times, owners or modes of anybody: what is the same is the same
// bytes. Read in tar-pieces.ts.

/** All of an archive is in blocks of so many bytes. */
export const TAR_BLOCK_BYTES = 512
/** Behind the last member: two blocks of zeros. */
export const TAR_END_BYTES = 2 * TAR_BLOCK_BYTES

const NAME_BYTES = 100
/** Eleven octal digits. */
const SIZE_MAX = 0o77777777777
/** For whoever unpacks it: to be read, and not to be changed by accident. */
const MODE = 0o444

/** Of a regular file. */
export interface TarMember {
  readonly name: string
  readonly sizeBytes: number
}

/** Zeros behind so many bytes, up to the next block. */
export function paddingOf(sizeBytes: number): number {
  return (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
}

/** The member with all that belongs to it. */
export function tarBytesOf(member: TarMember): number {
  const pax = paxOf(member)
  const paxBytes = pax === undefined ? 0 : TAR_BLOCK_BYTES + pax.length + paddingOf(pax.length)
  return paxBytes + TAR_BLOCK_BYTES + member.sizeBytes + paddingOf(member.sizeBytes)
}

/** All that stands before the bytes of the member. */
export function tarHead(member: TarMember): Buffer {
  const { name, sizeBytes } = member
  const pax = paxOf(member)
  const own = block({ name, sizeBytes: sizeBytes > SIZE_MAX ? 0 : sizeBytes, type: '0' })
  if (pax === undefined) return own
  const before = block({ name: 'pax', sizeBytes: pax.length, type: 'x' })
  return Buffer.concat([before, pax, Buffer.alloc(paddingOf(pax.length)), own])
}

/** Undefined where a block can say it all. */
function paxOf({ name, sizeBytes }: TarMember): Buffer | undefined {
  const records = [
    ...(Buffer.byteLength(name) > NAME_BYTES ? [paxRecord('path', name)] : []),
    ...(sizeBytes > SIZE_MAX ? [paxRecord('size', String(sizeBytes))] : []),
  ]
  return records.length === 0 ? undefined : Buffer.from(records.join(''))
}

/** `30 path=…` and a line feed: its length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = Buffer.byteLength(rest)
  while (String(length).length + Buffer.byteLength(rest) > length) length += 1
  return `${length}${rest}`
}

function block({ name, sizeBytes, type }: TarMember & { readonly type: string }): Buffer {
  const head = Buffer.alloc(TAR_BLOCK_BYTES)
  head.write(name, 0, NAME_BYTES, 'utf8')
  octal(head, MODE, { at: 100, digits: 7 })
  octal(head, 0, { at: 108, digits: 7 })
  octal(head, 0, { at: 116, digits: 7 })
  octal(head, sizeBytes, { at: 124, digits: 11 })
  octal(head, 0, { at: 136, digits: 11 })
  head.write(type, 156)
  head.write('ustar\0' + '00', 257, 'latin1')
  // Device numbers, which some readers want to be numbers.
  octal(head, 0, { at: 329, digits: 7 })
  octal(head, 0, { at: 337, digits: 7 })
  head.write(`${checksumOf(head).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return head
}

/** Its own field counts as spaces. */
export function checksumOf(head: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < TAR_BLOCK_BYTES; at += 1)
    sum += at >= 148 && at < 156 ? 0x20 : (head[at] ?? 0)
  return sum
}

function octal(head: Buffer, value: number, place: { at: number; digits: number }): void {
  head.write(`${value.toString(8).padStart(place.digits, '0')}\0`, place.at, 'latin1')
}
