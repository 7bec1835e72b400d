// Goal: who remembers an answer with the stamp that was read before the question never gives an
// outdated one while the stamp is the same. Method: random writes in bursts; between any two of
// them questions are asked and their answers remembered; after each burst every remembered answer
// whose stamp still holds is asked for again.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createMemoryCatalog } from '../kit/memory/catalog.ts'
import { openSqliteCatalog } from '../../src/catalog/sqlite/open.ts'
import { repositoryKey } from '../../src/oci/reference.ts'
import { createEpochs, type Epochs } from '../../src/registry/epochs.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import { seeding } from '../kit/arbitraries.ts'
import { bursts, digests, repositories, tags } from '../kit/judges/catalog-steps.ts'
import { createManualClock } from '../kit/manual-clock.ts'
import { isMemberOf } from '../kit/judges/membership.ts'

interface Question {
  readonly about: string
  readonly slot: number
  readonly ask: () => Promise<unknown>
}

interface Remembered {
  readonly question: Question
  readonly stamp: number
  readonly answer: unknown
}

/** What answers by tag and digest are made of; what is not there is nothing that is remembered. */
function questionsTo(catalog: Catalog, epochs: Epochs): readonly Question[] {
  return repositories.flatMap(repository => {
    const key = repositoryKey(repository)
    const slot = epochs.slotOf(key)
    const ofTags = tags.map(tag => ({
      about: `${key}:${tag}`,
      slot,
      ask: async () => {
        const recorded = await catalog.findTag(repository, tag)
        return recorded && { digest: recorded.digest, local: recorded.local }
      },
    }))
    const ofDigests = digests.flatMap(digest => [
      {
        about: `${key}@${digest}`,
        slot,
        ask: async () => (await catalog.findManifest(repository, digest))?.mediaType,
      },
      {
        about: `${key} holds ${digest}`,
        slot,
        // Whose file is on its way out is not given, and nobody remembers that it would be.
        ask: async () => {
          const asked = [isMemberOf(catalog, repository, digest), catalog.findContent(digest)]
          return (await Promise.all(asked)).every(Boolean) || undefined
        },
      },
    ])
    return [...ofTags, ...ofDigests]
  })
}

async function remember(questions: readonly Question[], epochs: Epochs): Promise<Remembered[]> {
  const asked = questions.map(async question => {
    const stamp = epochs.stampOf(question.slot)
    const answer = await question.ask()
    return { question, stamp, answer }
  })
  return (await Promise.all(asked)).filter(({ answer }) => answer !== undefined)
}

/** Returns how many of the remembered answers still held. */
async function holdsAfter(catalog: Catalog, epochs: Epochs, burst: readonly Call[]) {
  const questions = questionsTo(catalog, epochs)
  const pending: Promise<unknown>[] = []
  const asking = [remember(questions, epochs)]
  for (const call of burst) {
    pending.push(call(catalog))
    asking.push(remember(questions, epochs))
  }
  await Promise.all(pending)
  let held = 0
  for (const { question, stamp, answer } of (await Promise.all(asking)).flat()) {
    if (epochs.stampOf(question.slot) !== stamp) continue
    held += 1
    assert.deepEqual(await question.ask(), answer, question.about)
  }
  return held
}

type Call = (catalog: Catalog) => Promise<unknown>

/** Runs of so many random histories, one after the other over the same catalog. */
async function check(catalog: Catalog, epochs: Epochs, numRuns: number): Promise<number> {
  let held = 0
  await fc.assert(
    fc.asyncProperty(bursts, async bursts => {
      for (const burst of bursts) {
        const calls = burst.map(step => step.call).filter(call => call !== undefined)
        held += await holdsAfter(catalog, epochs, calls)
      }
    }),
    { ...seeding(), numRuns },
  )
  return held
}

t.test('epochs: an answer with a stamp that holds is right', async t => {
  const epochs = createEpochs()
  const held = await check(createMemoryCatalog({ epochs }), epochs, 200)
  t.ok(held > 1_000, `${held} remembered answers outlived a burst`)
})

t.test('epochs: so it is where another thread writes', async t => {
  const directory = t.testdir({})
  const epochs = createEpochs()
  const opened = await openSqliteCatalog({
    directory,
    clock: createManualClock(),
    note() {},
    epochs,
  })
  t.teardown(() => opened.close())
  const held = await check(opened, epochs, 15)
  t.ok(held > 100, `${held} remembered answers outlived a burst`)
})
