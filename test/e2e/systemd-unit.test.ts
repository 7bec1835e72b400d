// Goal: the unit that is shipped is one that systemd takes, and is as closed as it says. Method:
// systemd-analyze, without a running systemd, on a copy whose program exists on this machine.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { EXIT_CODES } from '../../src/cli/context.ts'

const run = promisify(execFile)
const PROJECT = new URL('../..', import.meta.url).pathname
const UNIT = join(PROJECT, 'systemd/entrepot.service')
/** In tenths, as systemd-analyze takes it; a unit without any hardening has 96. */
const EXPOSURE_MAX = 15

async function unitFile(t: { teardown(fn: () => unknown): unknown }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-unit-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'entrepot.service')
  const text = await readFile(UNIT, 'utf8')
  await writeFile(path, text.replace('/usr/lib/entrepot/', PROJECT))
  return path
}

t.test('systemd-analyze verify accepts the unit without a word', async t => {
  const { stdout, stderr } = await run('systemd-analyze', ['verify', await unitFile(t)])
  t.equal(stdout + stderr, '')
})

t.test('the unit is exposed no more than it says', async t => {
  const limit = `--threshold=${EXPOSURE_MAX}`
  const { stdout } = await run('systemd-analyze', [
    'security',
    '--offline=true',
    limit,
    await unitFile(t),
  ])
  t.match(stdout, /Overall exposure level/)
})

t.test('R282: a configuration with faults is not started again and again', async t => {
  const text = await readFile(UNIT, 'utf8')
  t.match(text, new RegExp(`^RestartPreventExitStatus=${EXIT_CODES.configuration}$`, 'm'))
  t.match(text, /^Restart=always$/m, 'anything else is')
})
