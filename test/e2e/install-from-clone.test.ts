// Goal: what the README promises to someone with Node and npm: clone, `npm ci && npm start`, pull;
// then what operations.md says of a service. Method: a fresh clone of what is committed, the
// machine's own node and npm, nothing of this work tree within reach.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { layeredImage, push } from './images.ts'
import {
  freshDirectory,
  type Process,
  type ProcessOptions,
  runCommand,
  startProcess,
} from './processes.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

const PROJECT = new URL('../..', import.meta.url).pathname
/** Installing takes about twenty seconds on a good day, compiling some more. */
const TIMEOUT_MS = 5 * 60_000
/**
 * What of npm's own variables says how to reach a registry; all others belong to the script that
 * runs this.
 */
const NPM_NETWORK = /^npm_config_(registry|cafile|cache|userconfig|https?_proxy|noproxy)$/i
/**
 * tap gives every child of a test a NODE_OPTIONS that loads it there too; this takes it away again.
 */
const BARE = ['-u', 'NODE_OPTIONS']
/** Where to listen, so that a registry on port 5000 is not in the way. */
const ANYWHERE = { ENTREPOT_HTTP_ADDR: '127.0.0.1:0', ENTREPOT_ADMIN_ADDR: '127.0.0.1:0' }

t.setTimeout(TIMEOUT_MS)

t.test('a fresh clone serves after npm ci and npm start', { timeout: TIMEOUT_MS }, async t => {
  const clone = join(freshDirectory('clone'), 'entrepot')
  const options: ProcessOptions = { cwd: clone, env: outsideOfNpm(), network: true }
  await runCommand('git', ['clone', '--quiet', PROJECT, clone], { ...options, cwd: PROJECT })
  t.comment(
    `node ${(await runCommand('env', [...BARE, 'node', '--version'], options)).trim()} runs npm`,
  )
  await runCommand('env', [...BARE, 'npm', 'ci', '--no-progress'], {
    ...options,
    timeoutMs: TIMEOUT_MS,
  })

  await t.test('without a configuration', async t => {
    const env = { ...options.env, ...ANYWHERE }
    const edge = startProcess('env', [...BARE, 'npm', 'start'], { ...options, env })
    t.teardown(() => edge.stop())
    const ping = await fetch(`${await servedAt(edge)}/v2/`)
    t.equal(ping.status, 200, 'it answers')
    t.ok(existsSync(join(clone, 'data')), 'its data is in ./data')
    const { pid, sending } = JSON.parse(await edge.line(isServing)) as {
      readonly pid: number
      readonly sending: string
    }
    t.equal(sending, 'sendfile', 'the native sender was built, where there is a compiler')
    const mapped = readFileSync(`/proc/${pid}/maps`, 'utf8')
    t.match(mapped, /better-sqlite3/)
    t.notMatch(mapped, /rolldown/, 'what built it is not in its memory')
    process.kill(edge.pid, 'SIGTERM')
    await edge.line(text => text.includes('"stopped"'))
    t.equal(await edge.exited, 0, 'a signal to npm alone ends the server in order')
    const again = startProcess('env', [...BARE, 'npm', 'start'], { ...options, env })
    t.teardown(() => again.stop())
    await again.line(isServing)
    process.kill(-again.pid, 'SIGINT')
    await again.line(text => text.includes('"stopped"'))
    t.equal(await again.exited, 0, 'so does one to all processes, as a terminal sends it')
  })

  await t.test('with one', async t => {
    const upstream = UPSTREAM_SERVERS['docker-registry 2.8']()
    await upstream.start()
    t.teardown(() => upstream.stop())
    const image = layeredImage({ seed: 'clone', layerBytes: [10_000] })
    await push(upstream.url(), image, { name: 'library/app', tag: 'v1' })
    const edge = startProcess(
      'env',
      [...BARE, 'npm', 'start', '--', '--config', written(clone, upstream.url())],
      options,
    )
    t.teardown(() => edge.stop())
    const url = `${await servedAt(edge)}/v2/library/app/manifests/v1`
    const answer = await fetch(url, { headers: { accept: image.manifest.mediaType } })
    t.equal(answer.status, 200, 'a manifest comes through it')
    t.equal(answer.headers.get('docker-content-digest'), image.manifest.digest, 'the right one')
  })

  await t.test('R282: built and pruned, as a service is installed', async t => {
    const said = async (...command: string[]) => runCommand('env', [...BARE, ...command], options)
    const sizes = async (when: string) => {
      const text = await said('du', '-sm', 'node_modules', 'dist')
      t.comment(`${when}, in MiB: ${text.trim().replaceAll(/\s+/g, ' ')}`)
    }
    await said('npm', 'run', 'build')
    await sizes('installed')
    await said('npm', 'prune', '--omit=dev')
    await sizes('pruned')
    t.match(await said('scripts/node.sh', '--version'), /^v26\./, 'its Node is still there')
    t.match(await said('scripts/entrepot.sh', '--version'), /^entrepot /)
    t.match(await said('npm', 'start', '--silent', '--', '--version'), /^entrepot /)
    appendFileSync(join(clone, 'src', 'main.ts'), '// changed\n')
    for (const script of ['start', 'test'])
      await t.rejects(
        said('npm', script),
        { message: /not installed: run "npm ci"/ },
        `npm ${script} says so`,
      )
  })
})

/** Nothing that npm sets for its scripts: no `node_modules/.bin` in PATH, no pinned node. */
function outsideOfNpm(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => {
    return NPM_NETWORK.test(name) || !/^(npm_|TAP|INIT_CWD|NODE_(ENV|OPTIONS)$)/i.test(name)
  })
  const env: Record<string, string> = {}
  for (const [name, value = ''] of kept) env[name] = value
  const path = (env['PATH'] ?? '').split(delimiter)
  env['PATH'] = path.filter(entry => !entry.includes('node_modules')).join(delimiter)
  return env
}

function written(directory: string, upstreamUrl: string): string {
  const file = join(directory, 'test.yaml')
  writeFileSync(
    file,
    `http: { addr: "127.0.0.1:0" }
admin: { addr: "127.0.0.1:0" }
storage: { rootdirectory: ${join(directory, 'data-2')} }
upstreams:
  docker.io: { url: "${upstreamUrl}" }
`,
  )
  return file
}

const isServing = (line: string) => line.includes('"serving"')

async function servedAt(edge: Process): Promise<string> {
  const line = await edge.line(isServing)
  const { http } = JSON.parse(line) as { readonly http: string }
  return http.includes('://') ? http : `http://${http}`
}
