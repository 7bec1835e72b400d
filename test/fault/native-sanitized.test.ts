// Goal: the native sender touches no memory that is not its own, whatever happens to its
// connections and threads. Method: a build with the address and undefined-behaviour sanitizers
// under a program that does its worst (test/kit/threads/native-storm.ts).
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { buildNative } from '../../scripts/build-native.mjs'
import { seedOf } from '../kit/seeded.ts'

t.setTimeout(600_000)
const CONNECTIONS = process.env['CONNECTIONS'] ?? '480'
const STORM = fileURLToPath(new URL('../kit/threads/native-storm.ts', import.meta.url))
const run = promisify(execFile)

async function library(name: string): Promise<string> {
  const { stdout } = await run('gcc', [`-print-file-name=${name}`])
  const path = stdout.trim()
  if (!path.startsWith('/')) throw new Error(`gcc has no ${name}: install libgcc-*-dev`)
  return path
}

t.test('nothing is read or written that is not the sender’s', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-sanitized-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const built = join(directory, 'sender.node')
  const why = buildNative({ sanitize: true, output: built })
  if (why !== undefined) throw new Error(`this test compiles native/sender.c: install gcc (${why})`)
  const seed = seedOf(process.env)
  t.comment(`seed ${seed}, ${CONNECTIONS} connections`)
  const { NODE_OPTIONS: _, ...env } = process.env
  const result = await run(process.execPath, [STORM, built, String(seed), CONNECTIONS], {
    env: {
      ...env,
      LD_PRELOAD: `${await library('libasan.so')} ${await library('libubsan.so')}`,
      // Node itself ends without giving everything back.
      ASAN_OPTIONS: 'detect_leaks=0:halt_on_error=1',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    },
    maxBuffer: 16 * 1024 * 1024,
  }).catch((failed: { stdout: string; stderr: string; code: unknown }) => failed)
  t.match(result.stdout, /^done, [1-9]\d* whole$/m)
  t.notMatch(result.stderr, /Sanitizer|runtime error/)
})
