// A tar archive with one file in it, and its gzip: the smallest thing that a real client unpacks as
// part of an image.
import { gzipSync } from 'node:zlib'

const RECORD_BYTES = 512

/**
 * A ustar archive that holds `bytes` as the regular file `name`; no times or owners, so the same
 * input is the same archive.
 */
export function tarOf(name: string, bytes: Buffer): Buffer {
  const header = Buffer.alloc(RECORD_BYTES)
  header.write(name, 0, 100, 'utf8')
  writeOctal(header, 0o644, { offset: 100, digits: 7 })
  writeOctal(header, 0, { offset: 108, digits: 7 })
  writeOctal(header, 0, { offset: 116, digits: 7 })
  writeOctal(header, bytes.length, { offset: 124, digits: 11 })
  writeOctal(header, 0, { offset: 136, digits: 11 })
  header.write('0', 156)
  header.write('ustar\0', 257, 'latin1')
  header.write('00', 263, 'latin1')
  writeChecksum(header)
  const padding = Buffer.alloc((RECORD_BYTES - (bytes.length % RECORD_BYTES)) % RECORD_BYTES)
  return Buffer.concat([header, bytes, padding, Buffer.alloc(2 * RECORD_BYTES)])
}

/** gzip without a time stamp: Node writes none, so the same archive is the same bytes. */
export function gzipOf(archive: Buffer): Buffer {
  return gzipSync(archive, { level: 1 })
}

function writeOctal(
  header: Buffer,
  value: number,
  place: { offset: number; digits: number },
): void {
  header.write(`${value.toString(8).padStart(place.digits, '0')}\0`, place.offset, 'latin1')
}

/** The checksum counts its own field as spaces. */
function writeChecksum(header: Buffer): void {
  header.fill(' ', 148, 156)
  let sum = 0
  for (const byte of header) sum += byte
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}
