// Version 2 of the PROXY protocol as proxies write it, and as none should.

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

export interface BinaryHeader {
  /** Version and command. Default: 2, for somebody. */
  readonly command?: number
  /** Default: IPv4, TCP. */
  readonly family?: number
  /** Addresses and what follows them. */
  readonly rest: Buffer
}

export function binaryHeader({ command = 0x21, family = 0x11, rest }: BinaryHeader): Buffer {
  const fixed = Buffer.from([command, family, rest.length >> 8, rest.length & 0xff])
  return Buffer.concat([SIGNATURE, fixed, rest])
}

/** For somebody at this IPv4 address. */
export function binaryFor(address: string): Buffer {
  const rest = Buffer.from([
    ...address.split('.').map(Number),
    127,
    0,
    0,
    1,
    0x12,
    0x34,
    0x13,
    0x88,
  ])
  return binaryHeader({ rest })
}

export function lineFor(address: string): Buffer {
  const isSix = address.includes(':')
  const to = isSix ? '::1' : '127.0.0.1'
  return Buffer.from(`PROXY TCP${isSix ? 6 : 4} ${address} ${to} 4660 5000\r\n`)
}
