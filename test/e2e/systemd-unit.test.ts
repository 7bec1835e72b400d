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

/** All that a name of the filter stands for: itself, or what systemd lists in a group. */
async function callsOf(name: string): Promise<readonly string[]> {
  if (!name.startsWith('@')) return [name]
  const { stdout } = await run('systemd-analyze', ['syscall-filter', name])
  const lines = stdout.split('\n').slice(1)
  const names = lines.map(line => line.trim()).filter(line => line !== '' && !line.startsWith('#'))
  return (await Promise.all(names.map(callsOf))).flat()
}

t.test('R646: the thread that tries passwords may make itself nicer under the unit', async t => {
  const text = await readFile(UNIT, 'utf8')
  const allowed = new Set<string>()
  // In order: each line adds to what those before allow, or takes away from it.
  for (const [, isDenied, names = ''] of text.matchAll(/^SystemCallFilter=(~?)(.*)$/gm))
    for (const name of names.split(' '))
      for (const call of await callsOf(name))
        if (isDenied === '') allowed.add(call)
        else allowed.delete(call)
  t.ok(allowed.has('setpriority'))
  t.ok(allowed.has('getpriority'))
  t.ok(allowed.has('ioprio_set'))
  t.notOk(allowed.has('sched_setscheduler'), 'and nothing else of its kind')
})

t.test('R282: a configuration with faults is not started again and again', async t => {
  const text = await readFile(UNIT, 'utf8')
  t.match(text, new RegExp(`^RestartPreventExitStatus=${EXIT_CODES.configuration}$`, 'm'))
  t.match(text, /^Restart=always$/m, 'anything else is')
})
