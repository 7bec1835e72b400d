// What a receiver has, written down and signed by it: whoever exports to it sends what is missing.
import { rmSync, writeFileSync } from 'node:fs'
import { BundleFault } from '../bundle/tar-pieces.ts'
import { type AdminServer, readAdmin } from './admin-client.ts'
import { CliError, EXIT_CODES } from './context.ts'
import { type CheckedEnd, checkedInventory } from './inventories.ts'
import { openOutput } from './output-file.ts'

/** More are given in a list. */
const IMAGES_INLINE = 5

/** The whole inventory, or nothing. @throws CliError */
export async function saveInventory(
  server: AdminServer,
  path: string,
  patterns: readonly string[] = [],
): Promise<CheckedEnd> {
  const pieces = readAdmin({ server, path: '/inventory', query: { pattern: patterns } })
  const output = await openOutput(path)
  let ended: CheckedEnd | undefined
  try {
    for await (const piece of checkedInventory(pieces, end => (ended = end)))
      await output.append(piece)
    if (ended === undefined) throw new BundleFault('it ends before its end')
  } catch (error) {
    await output.discard()
    throw error
  }
  await output.finish()
  return ended
}

/** By which the edge that made a bundle makes one that the receiver can use. @throws CliError */
export function commandFor(images: readonly string[], receipt: string, bundle: string): string {
  const rest = `--since ${receipt} -o ${bundle}`
  if (images.length <= IMAGES_INLINE) return `entrepot export ${images.join(' ')} ${rest}`
  const list = `${receipt}.images`
  try {
    // Begun anew, so that nothing is written through a link.
    rmSync(list, { force: true })
    const text = images.map(each => `${each}\n`).join('')
    writeFileSync(list, text, { mode: 0o600, flag: 'wx' })
  } catch {
    throw new CliError(EXIT_CODES.failed, `${list} cannot be written: name another --receipt`)
  }
  return `entrepot export --images ${list} ${rest}`
}
