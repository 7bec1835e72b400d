// Goal: a stop treats what the kernel sends like every other answer: it ends by itself in its time, and is cut after that. Method: the
// real process, SIGTERM while clients are half-way, one of which reads on and one of which does not.
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { BLOBS } from '../kit/edge-over-stub.ts'
import { startEdge } from '../kit/edge-process.ts'
import { requireSendfile } from '../kit/native.ts'
import { get } from '../kit/raw-client.ts'
import { startStubRegistry } from '../kit/stub-registry.ts'

t.setTimeout(180_000)
requireSendfile()
/** More than the buffers of a connection take. */
const blob = patternBlob('drained', 48 * 1024 * 1024)

t.test(
  'R236: an answer under way is finished, one that nobody reads is cut, and the process ends',
  async t => {
    const stub = await startStubRegistry()
    t.teardown(() => stub.stop())
    stub.addBlob('library/app', blob)
    const upstreams = { 'docker.io': { url: stub.url, http: true } }
    for (const reads of [true, false]) {
      const edge = await startEdge({
        upstreams,
        config: { http: { addr: '127.0.0.1:0', draintimeout: reads ? '60s' : '1s' } },
      })
      t.teardown(() => edge.stop())
      const url = `${edge.url}${BLOBS}/${blob.digest}`
      t.equal((await get(url)).bodyBytes, blob.sizeBytes)
      const stopping = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      const answer = get(
        url,
        {},
        {
          onBytes: () => {
            begun.resolve()
            return stopping.promise
          },
        },
      )
      await begun.promise
      const ended = edge.terminate()
      await edge.untilLogged(({ msg }) => msg?.startsWith('stopping') === true)
      if (reads) stopping.resolve()
      t.match(await ended, { code: 0 })
      stopping.resolve()
      t.equal((await answer).complete, reads)
      const line = await edge
        .untilLogged(({ msg, outcome }) => msg === 'request completed' && outcome !== 'completed')
        .catch(() => undefined)
      t.equal(line?.['outcome'], reads ? undefined : 'aborted')
    }
  },
)
