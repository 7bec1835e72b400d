// Goal: an edge that nobody asks anything leaves the machine alone: no write, and few wakings.
// Method: the real process after its start, and strace, which counts what all of its threads ask of
// the kernel in three seconds.
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { straceProcess } from '../kit/disk/strace-process.ts'

t.setTimeout(300_000)

const SECONDS = 3
/**
 * Fifty looks a second at how late the event loop is, of two waits each, and room for some timers.
 * Ten more wakings a second show.
 */
const WAITS_A_SECOND_MAX = 120

t.test(
  'an idle edge writes nothing, and wakes hardly more often than it looks at its event loop',
  async t => {
    const edge = await startEdge({ config: { http: { threads: 2 }, log: { level: 'debug' } } })
    t.teardown(() => edge.stop())
    // A busy machine takes seconds to look into all directories for files.
    await edge.untilLogged(({ msg }) => msg === 'files without rows were adopted')
    // What else follows a start is over by then; a little that is not is within the bound.
    await wait(1_500)
    const startedMs = performance.now()
    const trace = await straceProcess(edge.pid, { calls: 'all' })
    await wait(SECONDS * 1_000)
    const lines = await trace.stop()
    const seconds = (performance.now() - startedMs) / 1_000
    const count = (name: RegExp) => lines.filter(line => name.test(line)).length
    t.comment(`${lines.length} calls`)
    t.equal(count(/ write\(1, /), 0, 'no log line, no write')
    const waits = count(/ epoll_pwait\(/)
    const told = `${waits} waits in ${seconds} s`
    t.ok(waits > 0 && waits <= WAITS_A_SECOND_MAX * seconds, told)
  },
)
