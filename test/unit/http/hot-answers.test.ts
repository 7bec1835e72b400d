// Goal: who asks an upstream anew for all is one, and when that one comes to nothing it is the
// next. Method: the memory of answers alone, at times that the test sets.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import {
  createHotAnswers,
  type HotAnswer,
  type HotContent,
  type HotMiss,
} from '../../../src/http/memory/hot-answers.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'

const REPOSITORY = parseRepositoryKey('docker.io/library/app')
const CONTENT: HotContent = {
  status: 200,
  head: [],
  idAt: -1,
  ageAt: -1,
  body: Buffer.from('{}'),
  blob: undefined,
  digest: digestOf(Buffer.from('{}')),
  repeatable: { sinceMs: 1_000, untilMs: 2_000, graceUntilMs: 10_000 },
  pulledFrom: undefined,
  note: () => {},
  noteUse: undefined,
}

function open() {
  const answers = createHotAnswers({ maxBytes: 1_000_000, epochs: createEpochs() })
  const isMiss = (found: HotAnswer | HotMiss): found is HotMiss => found.kind === 'miss'
  const ask = (nowMs: number): HotMiss => {
    const found = answers.find('key', nowMs)
    if (!isMiss(found)) throw new Error('it is answered')
    return found
  }
  const isAnswered = (nowMs: number) => !isMiss(answers.find('key', nowMs))
  // Only what is asked for again is kept.
  ask(1_000).end()
  const miss = ask(1_000)
  miss.about(REPOSITORY)
  miss.keep(CONTENT)
  miss.end()
  return { ask, isAnswered }
}

t.test('in the grace one asks for all, and when that came to nothing the next one does', t => {
  const { ask, isAnswered } = open()
  t.ok(isAnswered(1_999))
  const asking = ask(2_000)
  t.ok(isAnswered(2_001), 'meanwhile')
  asking.end()
  const again = ask(2_002)
  t.ok(isAnswered(2_003))
  again.end()
  ask(10_000).end()
  ask(10_001).end()
  t.end()
})

t.test('nothing is answered from before its time, as after a clock that was put back', t => {
  const { ask, isAnswered } = open()
  t.ok(isAnswered(1_000))
  ask(999).end()
  t.end()
})
