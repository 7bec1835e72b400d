// In which of many networks an address is: found in as many steps as there are lengths among them,
// and not as there are networks.
import ipaddr from 'ipaddr.js'
import { formatNetwork, type Network, readPeer } from './network.ts'

type Address = ReturnType<typeof ipaddr.parse>

/** Those of one kind and length, by the bits that count. */
interface OfLength {
  readonly kind: ReturnType<Address['kind']>
  readonly bits: number
  readonly numbers: Map<bigint, number>
}

export class NetworkTable {
  readonly #numbers = new Map<string, number>()
  readonly #lengths = new Map<string, OfLength>()

  /** Some may be in it more than once, and count once. */
  constructor(networks: readonly Network[]) {
    for (const network of networks) {
      const name = formatNetwork(network)
      if (this.#numbers.has(name)) continue
      const number = this.#numbers.size
      this.#numbers.set(name, number)
      const address = ipaddr.parse(network.address)
      const { bits } = network
      const length = `${address.kind()} ${bits}`
      const found = this.#lengths.get(length) ?? {
        kind: address.kind(),
        bits,
        numbers: new Map<bigint, number>(),
      }
      found.numbers.set(leadingBits(address, bits), number)
      this.#lengths.set(length, found)
    }
  }

  get size(): number {
    return this.#numbers.size
  }

  /** @throws for one that is not in it */
  numberOf(network: Network): number {
    const number = this.#numbers.get(formatNetwork(network))
    if (number === undefined) throw new Error('no network of this table')
    return number
  }

  /**
   * The numbers of those that it is in. Undefined: it is no address, and nobody can say. IPv4 in
   * the clothes of IPv6 is taken for what it is.
   */
  find(text: string): readonly number[] | undefined {
    const address = readPeer(text)
    if (address === undefined) return undefined
    const found: number[] = []
    for (const { kind, bits, numbers } of this.#lengths.values()) {
      if (kind !== address.kind()) continue
      const number = numbers.get(leadingBits(address, bits))
      if (number !== undefined) found.push(number)
    }
    return found
  }
}

function leadingBits(address: Address, bits: number): bigint {
  const bytes = Uint8Array.from(address.toByteArray())
  const whole = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  return whole >> BigInt(bytes.length * 8 - bits)
}
