// Goal: a stop treats what the kernel sends like every other answer: it ends by itself in its time,
// and is cut after that. Method: the real process, SIGTERM while clients are half-way, who all read
// on or all do not.
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { BLOBS } from '../kit/worlds/edge-over-stub.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { get } from '../kit/clients/raw-client.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

t.setTimeout(300_000)
requireSendfile()
/** More than the buffers of a connection take. */
const blob = patternBlob('drained', 48 * 1024 * 1024)
/** So many that each of two threads has some, but for one run in a hundred. */
const CLIENTS = 8

t.test(
  'R236: an answer under way is finished, one that nobody reads is cut, and the process ends',
  async t => {
    const stub = await startStub(t)
    stub.addBlob('library/app', blob)
    const upstreams = { 'docker.io': { url: stub.url, http: true } }
    for (const reads of [true, false]) {
      const edge = await startEdge({
        upstreams,
        config: { http: { threads: 2, draintimeout: reads ? '60s' : '1s' } },
      })
      t.teardown(() => edge.stop())
      const url = `${edge.url}${BLOBS}/${blob.digest}`
      t.equal((await get(url)).bodyBytes, blob.sizeBytes)
      const stopping = Promise.withResolvers<void>()
      const pull = () => {
        const begun = Promise.withResolvers<void>()
        const onBytes = () => {
          begun.resolve()
          return stopping.promise
        }
        return { begun: begun.promise, answer: get(url, {}, { onBytes }) }
      }
      const pulls = Array.from({ length: CLIENTS }, pull)
      await Promise.all(pulls.map(({ begun }) => begun))
      const ended = edge.terminate()
      await edge.untilLogged(({ msg }) => msg?.startsWith('stopping') === true)
      if (reads) stopping.resolve()
      t.match(await ended, { code: 0 })
      stopping.resolve()
      const answers = await Promise.all(pulls.map(({ answer }) => answer))
      t.same(
        answers.map(({ complete }) => complete),
        Array(CLIENTS).fill(reads),
      )
      const outcomes = edge.logs
        .filter(({ msg }) => msg === 'request completed')
        .map(({ outcome }) => String(outcome))
      t.same(
        outcomes.toSorted(),
        [...Array(CLIENTS).fill(reads ? 'completed' : 'aborted'), 'completed'],
        'each has its line, whichever thread had it, and so has the first pull',
      )
    }
  },
)
