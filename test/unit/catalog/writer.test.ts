// Goal: every write is settled, whatever becomes of the writer thread. Method: a real thread that
// ends by itself when work arrives.
import { Worker } from 'node:worker_threads'
import t from 'tap'
import type { Operation } from '../../../src/catalog/sqlite/operations.ts'
import { Writer } from '../../../src/catalog/sqlite/writer/writer.ts'
import { alpine, digestNamed, latest } from '../../contract/catalog-samples.ts'

const TAG = {
  name: 'recordTag',
  args: [alpine, latest, digestNamed('x'), { checkedAtMs: 1 }],
} satisfies Operation

t.test('the death of the writer thread rejects what waits and what comes later', async t => {
  const endings = {
    exit: 'process.exit(3)',
    throw: 'setImmediate(() => { throw new Error("out of order") })',
  }
  for (const [name, ending] of Object.entries(endings)) {
    const thread = new Worker(
      `require('node:worker_threads').parentPort.once('message', () => { ${ending} })`,
      { eval: true },
    )
    const deaths: Error[] = []
    const writer = new Writer(thread, error => deaths.push(error))
    const first = writer.write(TAG, 1)
    await Promise.resolve()
    const waiting = [first, writer.write(TAG, 1), writer.write(TAG, 1)]
    const expected = {
      name: 'StoreError',
      failure: 'io',
      message: /writer thread/,
      hint: /restart/,
    }
    for (const write of waiting) await t.rejects(write, expected, name)
    await t.rejects(writer.write(TAG, 1), expected)
    t.equal(deaths.length, 1, 'and is told once')
    await writer.close()
  }
})

t.test('writes are refused, not queued without end, while the disk does not answer', async t => {
  const thread = new Worker(`require('node:worker_threads').parentPort.once('message', () => {})`, {
    eval: true,
  })
  const writer = new Writer(thread, () => {})
  const used = { repository: alpine, digest: digestNamed('x'), count: 1, atMs: 1 }
  const uses = Array.from({ length: 100_000 }, () => used)
  const large = { name: 'noteUses', args: [uses] } satisfies Operation
  const settled = [writer.write(TAG, 1)]
  await Promise.resolve()
  settled.push(writer.write(large, uses.length), writer.write(large, uses.length))
  await t.rejects(writer.write(large, uses.length), {
    name: 'StoreError',
    failure: 'busy',
    hint: String,
  })
  const all = Promise.allSettled(settled)
  await thread.terminate()
  for (const { status } of await all) t.equal(status, 'rejected')
})
