// What the kernel holds for the sockets of a server: bytes that it has written and nobody has taken
// yet, and their book-keeping.
import { spawnSync } from 'node:child_process'

const MEBIBYTE = 1024 * 1024

/**
 * Kernel memory behind all connections that were made to `port`.
 * @throws Error without the ss program
 */
export function socketMiB(port: number): number {
  const args = ['--tcp', '--memory', '--numeric', '--no-header', 'sport', '=', `:${port}`]
  const { stdout, error } = spawnSync('ss', args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (error !== undefined) throw new Error('ss is not installed')
  return sumSocketMemory(stdout) / MEBIBYTE
}

/**
 * In bytes, of each `skmem:(r…,rb…,t…,tb…,f…,w…,o…,bl…,d…)`: received, forward-allocated, queued to
 * be sent, options, backlog.
 */
export function sumSocketMemory(text: string): number {
  return [...text.matchAll(/skmem:\(([^)]*)\)/g)].reduce((sum, [, fields = '']) => {
    const of = (name: string) => Number(new RegExp(`(?:^|,)${name}(\\d+)`).exec(fields)?.[1] ?? 0)
    return sum + of('r') + of('f') + of('w') + of('o') + of('bl')
  }, 0)
}
