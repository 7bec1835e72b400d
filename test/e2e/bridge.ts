// A container's network as container engines make it, without an engine: a bridge of this machine,
// and a network namespace that is joined to it by a pair of virtual cards. Needs root.
import { spawnSync } from 'node:child_process'
import { runCommand } from './processes.ts'

export interface Bridge {
  /** This machine's, on the bridge. */
  readonly address: string
  /** Runs a program in the container's network, to its end. @throws as runCommand */
  run(program: string, args: readonly string[]): Promise<string>
  remove(): void
}

/** Reserved for measuring (RFC 2544): nobody routes it. */
const NET = '198.19'

/** One for each process. @throws Error that says what went wrong */
export function openBridge(): Bridge {
  const id = String(process.pid)
  const [namespace, bridge, near, far] = [`e2e${id}`, `eb${id}`, `en${id}`, `ef${id}`]
  const net = `${NET}.${process.pid % 256}`
  const address = `${net}.1`
  const remove = () => {
    process.off('exit', remove)
    spawnSync('ip', ['netns', 'del', namespace])
    spawnSync('ip', ['link', 'del', bridge])
  }
  process.once('exit', remove)
  try {
    ip('netns', 'add', namespace)
    ip('link', 'add', bridge, 'type', 'bridge')
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', namespace)
    ip('link', 'set', near, 'master', bridge, 'up')
    ip('addr', 'add', `${address}/24`, 'dev', bridge)
    ip('link', 'set', bridge, 'up')
    ip('-n', namespace, 'addr', 'add', `${net}.2/24`, 'dev', far)
    ip('-n', namespace, 'link', 'set', far, 'up')
    return {
      address,
      run: (program, args) => runCommand('ip', ['netns', 'exec', namespace, program, ...args]),
      remove,
    }
  } catch (error) {
    remove()
    throw error
  }
}

function ip(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`)
}
