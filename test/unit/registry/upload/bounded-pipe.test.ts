// Goal: a pipe holds no more than it may, gives everything in order, and leaves nobody waiting when
// one side is gone. Method: writer and reader take steps by turns.
import t from 'tap'
import { BoundedPipe } from '../../../../src/registry/upload/bounded-pipe.ts'

const piece = (text: string) => Buffer.from(text)

t.test('whoever writes faster waits for whoever reads', async t => {
  const pipe = new BoundedPipe(4)
  await pipe.write(piece('abc'))
  let isThrough = false
  const written = pipe.write(piece('defg')).then(() => (isThrough = true))
  await new Promise(setImmediate)
  t.notOk(isThrough)
  const reader = pipe.read()
  t.equal(String((await reader.next()).value), 'abc')
  await new Promise(setImmediate)
  t.notOk(isThrough, 'still at the limit')
  t.equal(String((await reader.next()).value), 'defg')
  await written
})

t.test('a reader waits for what comes, and ends after the last of it', async t => {
  const pipe = new BoundedPipe(100)
  const read: string[] = []
  const reading = (async () => {
    for await (const bytes of pipe.read()) read.push(String(bytes))
  })()
  await new Promise(setImmediate)
  for (const text of ['a', 'b', 'c']) await pipe.write(piece(text))
  pipe.end()
  await reading
  t.same(read, ['a', 'b', 'c'])
  await pipe.write(piece('too late'))
})

t.test('a reader that leaves lets the writer go on', async t => {
  const pipe = new BoundedPipe(1)
  const written = pipe.write(piece('abc'))
  for await (const bytes of pipe.read()) {
    t.equal(String(bytes), 'abc')
    break
  }
  await written
  await pipe.write(piece('nobody reads this'))
})

t.test('a failure reaches a reader that waits, and lets the writer go on', async t => {
  const pipe = new BoundedPipe(1)
  const reader = pipe.read()
  const waiting = reader.next()
  pipe.fail(new Error('over'))
  await t.rejects(waiting, { message: 'over' })
  const other = new BoundedPipe(1)
  const written = other.write(piece('abc'))
  other.fail(new Error('over'))
  await written
  await t.rejects(other.read().next(), { message: 'over' })
})
