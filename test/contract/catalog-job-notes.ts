// The part of the catalog contract about what jobs note: text under names, and no more.
import type { Test } from 'tap'
import type { MakeCatalog } from './catalog-samples.ts'

export function jobNotesContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('of each name the last note is known, and no other', async t => {
    const catalog = await makeCatalog(t)
    t.strictSame(await catalog.listJobNotes(), [])
    await catalog.noteJob({ name: 'retain', body: '{"at":1}' })
    await catalog.noteJob({ name: 'gc', body: '{"at":2}' })
    await catalog.noteJob({ name: 'retain', body: '{"at":3}' })
    t.strictSame(await catalog.listJobNotes(), [
      { name: 'gc', body: '{"at":2}' },
      { name: 'retain', body: '{"at":3}' },
    ])
  })

  t.test('a note that is too long is refused', async t => {
    const catalog = await makeCatalog(t)
    await t.rejects(catalog.noteJob({ name: 'x'.repeat(1_025), body: '' }), { message: /1024/ })
    await t.rejects(catalog.noteJob({ name: 'gc', body: 'x'.repeat(8_193) }), { message: /8192/ })
    t.strictSame(await catalog.listJobNotes(), [])
  })
}
