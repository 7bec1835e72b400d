// Goal: many pushes that wait for the disk at once leave threads over for those who read (section
// 3.2 of the programme). Method: the threads of a process that was started as users start it are
// counted, by the name that libuv gives to its own.
import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { type EdgeProcess, startEdge } from '../kit/worlds/edge-process.ts'

t.setTimeout(300_000)

async function diskThreads({ pid }: EdgeProcess): Promise<number> {
  const tasks = `/proc/${pid}/task`
  const names = await Promise.all(
    (await readdir(tasks)).map(id => readFile(`${tasks}/${id}/comm`, 'utf8')),
  )
  return names.filter(name => name.startsWith('libuv-worker')).length
}

for (const [env, threads] of [
  [{}, 16],
  [{ UV_THREADPOOL_SIZE: '5' }, 5],
] as const)
  t.test(`${threads} threads work on the disk with ${JSON.stringify(env)}`, async t => {
    const edge = await startEdge({ env })
    t.teardown(() => edge.stop())
    // By the time it serves, the catalog and the directory were opened through them.
    t.equal(await diskThreads(edge), threads)
  })
