// A process that writes files as the store does, and nothing else: temporary file, fsync, rename,
// and fsync of the directory only when it is told to. Prints each name once it would have
// acknowledged it. usage: bare-writer DIRECTORY synced|unsynced
import { createHash, randomBytes } from 'node:crypto'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'

const WRITERS = 4
const BYTES_MAX = 200_000

const [directory = '', kind] = process.argv.slice(2)

async function writeForever(): Promise<never> {
  for (;;) {
    const bytes = randomBytes(1 + (randomBytes(4).readUInt32LE() % BYTES_MAX))
    const name = createHash('sha256').update(bytes).digest('hex')
    const temporary = join(directory, `tmp-${name}`)
    const file = await open(temporary, 'wx')
    await file.writeFile(bytes)
    await file.sync()
    await file.close()
    await rename(temporary, join(directory, name))
    if (kind === 'synced') {
      const parent = await open(directory, 'r')
      await parent.sync()
      await parent.close()
    }
    process.stdout.write(`${name}\n`)
  }
}

await Promise.all(Array.from({ length: WRITERS }, writeForever))
