// Goal: what is lost outlives a push or a delete that fails, and a push that is killed: nobody gave
// it up, and it comes back with its bytes. Whoever tries a delete again ends it. Method: a catalog
// is built from facts while the bytes of a manifest are gone, or its facts cannot be read; then
// each write of a change breaks in turn.
import t from 'tap'
import { RegistryError } from '../../../../src/oci/errors.ts'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { factName } from '../../../../src/store/fact-text.ts'
import { BREAKS, type Break, createBreaking } from '../../../kit/worlds/breaking-ports.ts'
import {
  carriedOf,
  MODES,
  type Mode,
  OLD,
  pointsTo,
  reference,
} from '../../../kit/worlds/cut-off-pushes.ts'
import { createEngine } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeImage } from '../../../kit/image.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { digested, pushDocument, pushImage, pushParts } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'

const lost = makeImage({ seed: 'older', layers: [10] })
const other = makeImage({ seed: 'other', layers: [10] })
const NEW = other.manifest.digest
const ongoing = new AbortController().signal
/** No change has more. */
const WRITES_MAX = 20

/** `unreadable`: its fact and that of its tag are. */
type Loss = 'bytes' | 'unreadable'

/** The catalog does not know of it, and facts do. */
async function lose(mode: Mode, loss: Loss) {
  const policies = everywhere(mode)
  const first = createEngine({ policies })
  await pushImage(first.registry, mode.repository, lost, 'v1')
  const { disk, clock } = first
  const bytes = disk.blobs.get(OLD)
  if (bytes === undefined) throw new Error('its bytes are where others are')
  const names = factNames(mode)
  const texts = names.map(name => disk.facts.get(name) ?? '')
  if (loss === 'bytes') disk.blobs.delete(OLD)
  else for (const name of names) disk.facts.set(name, DAMAGED)
  const breaking = createBreaking()
  const catalog = createMemoryCatalog()
  await rebuilt(first, policies, catalog)
  const after = { disk, clock, catalog: breaking.catalog(catalog) }
  let looks = 0
  const stock = { isAllFound: false, lost: 1, lookAgain: () => void (looks += 1) }
  const engine = createEngine({ policies, after, stock, facts: facts => breaking.facts(facts) })
  for (const image of [lost, other]) await pushParts(engine.registry, mode.repository, image)
  /** Where the tag points once all is back: at the next start, and in another catalog. */
  const found = async () => {
    disk.blobs.set(OLD, bytes)
    for (const [at, name] of names.entries())
      if (disk.facts.get(name) === DAMAGED) disk.facts.set(name, texts[at] ?? '')
    const kept = new Map(disk.facts)
    const { catalog: anew } = await rebuilt(first, policies)
    for (const [name, text] of kept) disk.facts.set(name, text)
    await createEngine({ policies, after: { ...after, catalog } }).registry.compareFacts(ongoing)
    return Promise.all([catalog, anew].map(each => pointsTo(each, mode.repository)))
  }
  return {
    engine,
    breaking,
    catalog,
    found,
    /** How often what is lost was looked for. */
    looks: () => looks,
  }
}

type Lost = Awaited<ReturnType<typeof lose>>

const DAMAGED = '{'

/** Of what is lost, and of the tag that leads to it. */
function factNames({ repository: of }: Mode): readonly string[] {
  const repository = repositoryKey(of)
  const { tag } = reference
  return [
    factName({ kind: 'manifest', repository, digest: OLD }),
    factName({ kind: 'tag', repository, tag }),
  ]
}

const CHANGES = {
  'a push of it': ({ registry }, { repository }) =>
    pushDocument(registry, repository, { document: lost.manifest, reference: 'v1' }),
  'a push to its tag': ({ registry }, { repository }) =>
    pushDocument(registry, repository, { document: other.manifest, reference: 'v1' }),
  'a delete of it': ({ registry }, { repository }) =>
    registry.deleteManifest(repository, digested(OLD).reference),
} as const satisfies Record<string, (engine: Lost['engine'], mode: Mode) => Promise<unknown>>

/** Each write of it breaks in turn; `check` is asked when it was told to have failed. */
async function eachWrite(
  change: keyof typeof CHANGES,
  { mode, how, loss = 'bytes' }: { mode: Mode; how: Break; loss?: Loss },
  check: (world: Lost, at: number) => Promise<void>,
): Promise<number> {
  for (let at = 0; at < WRITES_MAX; at++) {
    const world = await lose(mode, loss)
    world.breaking.arm(at, how)
    const hasFailed = await CHANGES[change](world.engine, mode).then(
      () => false,
      () => true,
    )
    const { isBroken } = world.breaking
    world.breaking.disarm()
    if (!isBroken) return at
    if (hasFailed) await check(world, at)
  }
  throw new Error('it never came to its end')
}

for (const mode of MODES)
  t.test(`R700: ${mode.push}: a delete of it that is refused gives nothing up`, async t => {
    const options = { mode, how: 'refused' } as const
    const writes = await eachWrite('a delete of it', options, async ({ found }, at) => {
      t.same(await found(), [OLD, OLD], `write ${at}`)
    })
    t.ok(writes > 2)
  })

for (const mode of MODES)
  for (const loss of ['bytes', 'unreadable'] as const)
    for (const change of ['a push of it', 'a push to its tag'] as const)
      for (const how of BREAKS)
        t.test(`R704: ${mode.push}: ${change} that was ${how} gives up no ${loss}`, async t => {
          const writes = await eachWrite(change, { mode, how, loss }, async (world, at) => {
            const { catalog, found } = world
            const { repository } = mode
            // Then it took effect, and only its answer is missing.
            const isDone = (await pointsTo(catalog, repository)) !== undefined
            const expected = isDone && change !== 'a push of it' ? NEW : OLD
            const [next, anew] = await found()
            t.equal(next, expected, `write ${at}`)
            t.ok([expected, OLD].includes(anew as typeof OLD), `write ${at}: ${anew}`)
            t.ok(await catalog.findManifest(repository, OLD), `write ${at}: it is here`)
          })
          t.ok(writes > 2)
        })

for (const mode of MODES)
  t.test(
    `R762: ${mode.push}: a push of it that fails behind its row has it looked for`,
    async t => {
      const isHere: boolean[] = []
      await eachWrite('a push of it', { mode, how: 'refused' }, async ({ catalog, looks }, at) => {
        const manifest = await catalog.findManifest(mode.repository, OLD)
        isHere.push(manifest !== undefined)
        t.equal(looks(), manifest === undefined ? 0 : 1, `write ${at}`)
      })
      t.ok(isHere.includes(true) && isHere.includes(false))
    },
  )

for (const mode of MODES)
  for (const how of BREAKS)
    t.test(`R700: ${mode.push}: a delete that was ${how} is ended by the next one`, async t => {
      await eachWrite('a delete of it', { mode, how }, async world => {
        const { engine, catalog, found } = world
        await CHANGES['a delete of it'](engine, mode).catch(isGone)
        t.same((await factsOf(engine.facts, 'manifest')).length, 0)
        t.same((await factsOf(engine.facts, 'tag')).length, 0)
        t.same(await carriedOf(catalog, mode.repository), [])
        t.same(await found(), [undefined, undefined])
      })
    })

/** All of it was done the first time, and could not be said. */
function isGone(error: unknown): void {
  if (!(error instanceof RegistryError) || error.code !== 'MANIFEST_UNKNOWN') throw error
}
