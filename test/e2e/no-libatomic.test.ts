// Goal: on a machine without libatomic.so.1, as minimal systems are, whoever starts anything of
// this is told the one command that helps. Method: the Node of this install and the real loader, in
// a mount namespace of its own where an overlay hides the library.
import { execFile, execFileSync } from 'node:child_process'
import { realpathSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { PROJECT } from '../kit/worlds/edge-process.ts'
import { freshDirectory } from './processes.ts'

const LIBRARY = 'libatomic.so.1'
const TOLD =
  /^entrepot: the Node that the install brought does not start here: \S+: error while loading shared libraries: libatomic\.so\.1: cannot open shared object file: No such file or directory; run: (apt-get install libatomic1|dnf install libatomic)\n$/

/** The directory that the loader takes it from for this Node, which is the install's. */
function libraryDirectory(): string {
  const found = execFileSync('/usr/bin/ldd', [process.execPath], { encoding: 'utf8' })
  const [, path] = new RegExp(`${LIBRARY} => (\\S+)`).exec(found) ?? []
  if (path === undefined) throw new Error(`this Node does not need ${LIBRARY}`)
  return dirname(realpathSync(path))
}

/** Only what the scripts need: no Node of the machine's own, which would be taken instead. */
function programs(): string {
  const directory = freshDirectory('bin')
  for (const name of ['sh', 'dirname', 'readlink'])
    symlinkSync(`/usr/bin/${name}`, join(directory, name))
  return directory
}

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function run(script: string, { hidden }: { hidden: boolean }): Promise<Ran> {
  const [layers, libraries] = [freshDirectory('overlay'), libraryDirectory()]
  const hide = `set -e
    mount -t tmpfs none ${layers}
    mkdir ${layers}/upper ${layers}/work ${layers}/merged
    mount -t overlay -o lowerdir=${libraries},upperdir=${layers}/upper,workdir=${layers}/work none ${layers}/merged
    rm ${layers}/merged/${LIBRARY}
    mount --bind ${layers}/merged ${libraries}`
  const go = `PATH=${programs()} exec sh ${join(PROJECT, script)} --version`
  const args = ['--mount', '/bin/sh', '-c', hidden ? `${hide}\n${go}` : go]
  return new Promise(resolve => {
    execFile('/usr/bin/unshare', args, { cwd: '/' }, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}

for (const script of ['scripts/node.sh', 'scripts/entrepot.sh']) {
  t.test(`R281: without ${LIBRARY}, ${script} says what helps`, async t => {
    const { code, stdout, stderr } = await run(script, { hidden: true })
    t.match(stderr, TOLD)
    t.equal(stdout, '')
    t.equal(code, 78)
    t.equal((await run(script, { hidden: false })).code, 0, 'with it, it starts')
  })
}
