// Goal: whatever admin.socket names, the server harms nothing that is not its own, and says what is
// wrong with it. Method: the listener on paths where something else is, in a directory of the
// test's own.
import { lstatSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FastifyInstance, fastify } from 'fastify'
import t from 'tap'
import { openSocket } from '../../../src/admin/socket.ts'

interface Test {
  teardown(fn: () => unknown): unknown
}

async function directoryFor(test: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'socket-'))
  test.teardown(() => rm(directory, { recursive: true }))
  return directory
}

function appFor(test: Test): FastifyInstance {
  const app = fastify()
  test.teardown(() => app.close())
  return app
}

const LONGEST_BYTES = 107

t.test('a file, a directory or a link at admin.socket is refused and stays', async t => {
  const directory = await directoryFor(t)
  const paths = { file: join(directory, 'file'), directory: join(directory, 'dir') }
  writeFileSync(paths.file, 'precious')
  mkdirSync(paths.directory)
  const links = { link: join(directory, 'link'), dangling: join(directory, 'dangling') }
  symlinkSync(paths.file, links.link)
  symlinkSync(join(directory, 'nothing'), links.dangling)
  for (const [what, path] of Object.entries({ ...paths, ...links })) {
    await t.rejects(openSocket(appFor(t), path), {
      message: /^admin\.socket is .* no socket/,
      hint: /admin\.socket/,
    })
    t.ok(lstatSync(path), what)
  }
  t.equal(readFileSync(paths.file, 'utf8'), 'precious')
})

t.test('a socket that nobody answers is taken over, one that somebody answers is not', async t => {
  const directory = await directoryFor(t)
  const path = join(directory, 'admin.sock')
  const first = appFor(t)
  await openSocket(first, path)
  await t.rejects(openSocket(appFor(t), path), { message: /another server answers/, hint: /stop/ })

  // As a killed process leaves it: libuv removes the path only in an orderly close.
  const stale = join(directory, 'stale.sock')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(stale, resolve))
  renameSync(stale, `${stale}.kept`)
  await new Promise(resolve => server.close(resolve))
  renameSync(`${stale}.kept`, stale)
  await openSocket(appFor(t), stale)
  t.ok(lstatSync(stale).isSocket())
})

t.test('a path longer than a Unix socket takes is refused with the key and the limit', async t => {
  const directory = await directoryFor(t)
  const pathOf = (bytes: number) => join(directory, 'x'.repeat(bytes - directory.length - 1))
  await openSocket(appFor(t), pathOf(LONGEST_BYTES))
  await t.rejects(openSocket(appFor(t), pathOf(LONGEST_BYTES + 1)), {
    message: /^admin\.socket is .* 108 bytes.* at most 107/,
    hint: /storage\.rootdirectory/,
  })
  t.notOk(lstatSync(pathOf(LONGEST_BYTES + 1), { throwIfNoEntry: false }))
})
