// Networks as people write them in the configuration, each by its first address.
import { formatNetwork, type Network, readNetwork } from '../../access/network.ts'
import type { Format } from './formats.ts'

export const NETWORK: Format<Network> = {
  name: 'network',
  json: { type: 'string', examples: ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'] },
  parse({ text }) {
    const read = readNetwork(text.replace(/^net:/, ''))
    if (read.kind === 'network' && !text.startsWith('net:'))
      return { kind: 'ok', value: read.network }
    const message = 'must be an address, or a network by its first address, such as 10.0.0.0/8'
    if (read.kind === 'none') return { kind: 'fault', message }
    return { kind: 'fault', message, suggestion: formatNetwork(read.network) }
  },
  format: formatNetwork,
}
