// A network namespace of its own for an upstream, joined to this one by a pair of virtual cards
// whose rate the kernel holds down (tc tbf). Needs root. The kernel here has no delay of its own
// (netem), so that is the link process's (link-process.ts).
import { spawnSync } from 'node:child_process'
import { RUN_PREFIX } from './ledger.ts'

export interface Network {
  /** Of the far end, as it is seen from here. */
  readonly address: string
  /** In front of a program and its arguments: runs it at the far end. */
  readonly enter: readonly string[]
  /** What the far end may send, in bytes a second; undefined: as fast as it can. */
  limit(bytesPerSecond: number | undefined): void
  remove(): void
}

/**
 * Enough for a few of the largest packets that the kernel hands over at once, far less than a
 * second's worth.
 */
const BURST = '256kb'
/** What waits for longer is dropped, as a router does; TCP sends it again. */
const QUEUE = '50ms'
/** For measuring networks (RFC 2544, RFC 6890); nobody routes it. */
const PREFIX = '198.18'

const open = new Set<Network>()
process.once('exit', () => {
  for (const network of open) network.remove()
})

/** @throws Error that says what is missing: root, or the ip and tc programs */
export function openNetwork(): Network {
  if (process.getuid?.() !== 0) throw new Error('network namespaces need root')
  const id = `${process.pid}-${open.size}`
  const name = `${RUN_PREFIX}${id}`
  const [near, far] = [`ebn${id}`, `ebf${id}`]
  const net = `${PREFIX}.${process.pid % 256}`
  const base = open.size * 4
  run('ip', 'netns', 'add', name)
  const network: Network = {
    address: `${net}.${base + 2}`,
    enter: ['ip', 'netns', 'exec', name],
    limit: bytesPerSecond => {
      const device = ['qdisc', bytesPerSecond === undefined ? 'del' : 'replace', 'dev', far, 'root']
      if (bytesPerSecond === undefined) spawnSync('ip', [...inside(name, 'tc'), ...device])
      else {
        const rate = `${bytesPerSecond * 8}bit`
        const bucket = ['tbf', 'rate', rate, 'burst', BURST, 'latency', QUEUE]
        run('ip', ...inside(name, 'tc'), ...device, ...bucket)
      }
    },
    remove: () => {
      open.delete(network)
      // Takes both cards with it.
      spawnSync('ip', ['netns', 'del', name])
    },
  }
  open.add(network)
  try {
    run('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name)
    run('ip', 'addr', 'add', `${net}.${base + 1}/30`, 'dev', near)
    run('ip', 'link', 'set', near, 'up')
    run('ip', '-n', name, 'addr', 'add', `${network.address}/30`, 'dev', far)
    run('ip', '-n', name, 'link', 'set', far, 'up')
    run('ip', '-n', name, 'link', 'set', 'lo', 'up')
  } catch (error) {
    network.remove()
    throw error
  }
  return network
}

function inside(name: string, program: string): readonly string[] {
  return ['netns', 'exec', name, program]
}

function run(program: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (error !== undefined) throw new Error(`${program} is not installed`)
  if (status !== 0) throw new Error(`${program} ${args.slice(0, 2).join(' ')}: ${stderr.trim()}`)
}
