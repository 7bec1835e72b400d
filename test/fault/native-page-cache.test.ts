// Goal: what is verified again takes nothing of the memory in which clients' files are: what was
// there stays there, and what was not does not come. Method: the thread that hashes, over files on
// a real file system, of which the addon says how much is in memory.
import { closeSync, fsyncSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import t from 'tap'
import { ADDON_FILE } from '../../src/http/addon.ts'
import { HashApart } from '../../src/store/filesystem/reading/hash-apart.ts'
import { patternBlob } from '../kit/content.ts'
import { requireSendfile } from '../kit/threads/native.ts'

requireSendfile()
const MiB = 1024 * 1024
/** Of several pieces, the last of them no whole one. */
const SIZE = 20 * MiB + 5_000
const PAGES = Math.ceil(SIZE / 4096)

const addon = createRequire(import.meta.url)(ADDON_FILE) as {
  resident(file: number, position: number, lengthBytes: number): number
  drop(file: number, position: number, lengthBytes: number): number
}

t.test('R866: what is in memory stays there, and nothing else comes', async t => {
  const directory = t.testdir({})
  const apart = new HashApart(ADDON_FILE)
  t.teardown(() => apart.end())
  const open = (name: string) => {
    const blob = patternBlob(name, SIZE)
    const path = join(directory, name)
    writeFileSync(path, blob.bytes())
    const descriptor = openSync(path, 'r')
    t.teardown(() => closeSync(descriptor))
    fsyncSync(descriptor)
    addon.drop(descriptor, 0, 0)
    t.equal(addon.resident(descriptor, 0, SIZE), 0, 'this file system lets pages go')
    return { blob, path, descriptor }
  }
  const [hot, cold] = [open('hot'), open('cold')]
  readFileSync(hot.path)
  const pieces: number[] = []
  const hash = ({ descriptor }: typeof hot, fromDisk = false) =>
    apart.digestOf({
      descriptor,
      sizeBytes: SIZE,
      algorithm: 'sha256',
      fromDisk,
      between: async bytes => void pieces.push(bytes),
    })
  t.equal(await hash(hot), hot.blob.digest)
  t.equal(await hash(cold), cold.blob.digest)
  t.equal(
    pieces.reduce((sum, bytes) => sum + bytes),
    2 * SIZE,
  )
  t.equal(addon.resident(hot.descriptor, 0, SIZE), PAGES)
  t.equal(addon.resident(cold.descriptor, 0, SIZE), 0)
  t.equal(await hash(hot, true), hot.blob.digest)
  t.equal(addon.resident(hot.descriptor, 0, SIZE), 0, 'read anew, from the disk')
})

t.test('R866: without the addon everything is hashed all the same', async t => {
  const blob = patternBlob('plain', SIZE)
  const directory = t.testdir({ plain: blob.bytes() })
  const descriptor = openSync(join(directory, 'plain'), 'r')
  t.teardown(() => closeSync(descriptor))
  for (const addonFile of [undefined, '/nowhere/sender.node']) {
    const apart = new HashApart(addonFile)
    const whole = { descriptor, sizeBytes: SIZE, algorithm: 'sha256', fromDisk: true } as const
    t.equal(await apart.digestOf({ ...whole, between: async () => {} }), blob.digest)
    const longer = { ...whole, sizeBytes: SIZE + 1 }
    await t.rejects(apart.digestOf({ ...longer, between: async () => {} }), { code: 'EIO' })
    await apart.end()
    const again = apart.digestOf({ ...whole, between: async () => {} })
    t.equal(await again, blob.digest, 'it may be asked again')
    await apart.end()
  }
})
