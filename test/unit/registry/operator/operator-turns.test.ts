// Goal: clients have their turn while an operator's question or purge goes through very much.
// Method: the engine over in-memory twins, in which nothing waits; each look at the clock finds it
// a millisecond later, as if the work in between had taken that.
import t, { type Test } from 'tap'
import { parseTag } from '../../../../src/oci/reference.ts'
import { listImages } from '../../../../src/registry/operator/list-images.ts'
import { compileSelector } from '../../../../src/registry/pins/selectors.ts'
import { planPurge } from '../../../../src/registry/purge/plan.ts'
import { digestNamed, manifestNamed, pullOf } from '../../../contract/catalog-samples.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'
import { turnsDuring } from '../../../kit/threads/turns-during.ts'

/** Of each kind; less than a page of the catalog, behind which others have their turn anyhow. */
const MANY = 100
/** The least of turns for them. */
const TURNS = MANY / 10

/** Repositories with a tag each, or one with all of them; none of the tags has its image here. */
async function openMany(apart: boolean) {
  let elapsedMs = 0
  const { clock: stopped, ...engine } = createEngine()
  const clock = { ...stopped, monotonicMs: () => (elapsedMs += 1) }
  const { catalog } = engine
  for (let at = 0; at < MANY; at += 1) {
    const repository = repositoryOf(apart ? `team/app-${at}` : 'team/app')
    await catalog.recordManifest(pullOf(manifestNamed(`${at}`), { repository }))
    const check = { checkedAtMs: 1, previous: undefined }
    await catalog.recordTag(repository, parseTag(`v${at}`), digestNamed(`absent ${at}`), check)
  }
  return { ...engine, clock, ownNameIn: () => undefined, published: async () => {} }
}

async function assertTurns(t: Test, work: () => Promise<unknown>, what: string): Promise<void> {
  const turns = await turnsDuring(work)
  t.ok(turns >= TURNS, `${what}: ${turns}`)
}

for (const apart of [true, false])
  t.test(`R463: clients have their turn, ${apart ? 'many repositories' : 'many tags'}`, async t => {
    const many = await openMany(apart)
    for (const by of [undefined, 'size'] as const)
      await assertTurns(t, () => listImages(many, { by, most: 9_999 }), `ls by ${by ?? 'name'}`)
    await assertTurns(t, () => listImages(many, { pattern: 'none/**' }), 'ls of what is not there')
    for (const selector of [
      { kind: 'repositories', repositories: '**' },
      { kind: 'tags', repositories: '**', tags: 'x*' },
      { kind: 'repositories', repositories: 'ghcr.io/**' },
    ] as const) {
      if (!apart && selector.repositories === 'ghcr.io/**') continue
      await assertTurns(
        t,
        () => planPurge(many, compileSelector(selector)),
        `purge of ${JSON.stringify(selector)}`,
      )
    }
  })
