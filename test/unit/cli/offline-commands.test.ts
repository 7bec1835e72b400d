// Goal: commands that need no server say what is right and wrong in words that a person can act on,
// with documented exit codes. Method: each command is run as main.ts runs it, with streams of the
// test's own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { COMMANDS } from '../../../src/cli/commands.ts'
import { runCli } from '../../kit/cli.ts'
import { startStub, startStubRegistry } from '../../kit/stubs/stub-registry.ts'
import { startIssuer } from '../../kit/stubs/issuer.ts'

async function configFile(
  t: { teardown(fn: () => unknown): unknown },
  text: string,
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-cli-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'entrepot.yaml')
  await writeFile(path, text)
  return path
}

t.test('help lists every command, and every command has help with an example', async t => {
  const overview = await runCli(['--help'])
  t.equal(overview.exitCode, 0)
  for (const name of Object.keys(COMMANDS)) {
    t.match(overview.stdout, new RegExp(`\\n  ${name} `), name)
    const help = await runCli([name, '--help'])
    t.equal(help.exitCode, 0)
    t.match(help.stdout, /Examples\n/, name)
  }
})

t.test('help of a command is its --help, and of what is none a usage error', async t => {
  for (const name of Object.keys(COMMANDS)) {
    const help = await runCli(['help', name])
    t.equal(help.exitCode, 0)
    t.equal(help.stdout, (await runCli([name, '--help'])).stdout, name)
  }
  t.match(await runCli(['help', 'pul']), { exitCode: 2, stderr: /no command "pul"/ })
})

t.test('--version and -v print the version of the package', async t => {
  const manifest = JSON.parse(
    await readFile(new URL('../../../package.json', import.meta.url), 'utf8'),
  ) as { version: string }
  for (const option of ['--version', '-v']) {
    const result = await runCli([option])
    t.same(result, { exitCode: 0, stdout: `entrepot ${manifest.version}\n`, stderr: '' })
  }
})

t.test('with --json a failure is one JSON object on standard error, warnings or not', async t => {
  const warned = await configFile(
    t,
    'admin: { addr: "0.0.0.0:5001", socket: "/nonexistent/admin.sock" }\n',
  )
  const cases: [argv: readonly string[], exitCode: number, message: RegExp][] = [
    [['status', '--json', '--config', warned], 69, /no server listens there/],
    [['pull', 'a/b:v1', '--json', '--config', warned], 69, /no server listens there/],
    [['ls', '--json', '--socket', '/x', 'a', 'b'], 2, /usage: entrepot ls/],
    [['ls', '--json', '--sokcet', '/x'], 2, /sokcet/],
    [['lss', '--json'], 2, /no command/],
    [['check', '--json', '--config', `${warned}.gone`], 78, /cannot be read/],
  ]
  for (const [argv, exitCode, message] of cases) {
    const result = await runCli(argv)
    t.equal(result.exitCode, exitCode, argv.join(' '))
    t.equal(result.stdout, '')
    t.match(JSON.parse(result.stderr), { error: { exitCode, message } })
  }
})

t.test('pull: a platform that is none is a usage error, before anybody is asked', async t => {
  const nowhere = ['--socket', '/nonexistent/admin.sock']
  for (const platform of ['amd64', 'linux', 'linux/', 'Linux/amd64', 'linux/arm/v7/x', ''])
    t.match(
      await runCli(['pull', 'a/b:v1', '--platform', platform, ...nowhere]),
      { exitCode: 2, stderr: /is not OS\/ARCH or OS\/ARCH\/VARIANT/ },
      platform,
    )
  t.match(await runCli(['pull', 'a/b:v1', ...nowhere, '--platform']), {
    exitCode: 2,
    stderr: /^--platform wants a value$/m,
  })
  for (const platform of ['linux/amd64', 'linux/arm/v7', 'windows/amd64'])
    t.equal((await runCli(['pull', 'a/b:v1', '--platform', platform, ...nowhere])).exitCode, 69)
})

t.test(
  'a command that is not there, a wrong option and a missing argument are usage errors in one line',
  async t => {
    for (const argv of [['serv'], ['status', '--jsn'], ['inspect', '--socket', '/nowhere'], []]) {
      const result = await runCli(argv)
      t.equal(result.exitCode, 2, argv.join(' '))
      t.ok(
        result.stderr.split('\n').length <= 2 && !result.stderr.includes('    at '),
        result.stderr,
      )
    }
  },
)

t.test('a usage error says what was meant, or where to look', async t => {
  const cases: [argv: readonly string[], stderr: RegExp][] = [
    [['statsu'], /^entrepot has no command "statsu" \(did you mean status\?\); /],
    [['frobnicate'], /^entrepot has no command "frobnicate"; "entrepot --help" lists them$/m],
    [['ls', '--bogus'], /^Unknown option '--bogus'; "entrepot ls --help" tells what it takes$/m],
    [['schema', 'x'], /^Unexpected argument 'x'; "entrepot schema --help" tells/],
  ]
  for (const [argv, stderr] of cases)
    t.match(await runCli(argv), { exitCode: 2, stderr }, argv.join(' '))
})

t.test(
  'check says every fault at once with its place and a suggestion, and ends with 78',
  async t => {
    const path = await configFile(
      t,
      'htpp: { addr: ":5000" }\nupstreams:\n  docker.io: { ttl: 5 parsecs }\n',
    )
    const result = await runCli(['check', '--config', path])
    t.equal(result.exitCode, 78)
    t.match(result.stderr, /entrepot\.yaml:1:1: error: htpp: .*did you mean http\?/)
    t.match(result.stderr, /entrepot\.yaml:3:\d+: error: upstreams\.docker\.io\.ttl/)
    const json = JSON.parse((await runCli(['check', '--config', path, '--json'])).stdout) as {
      findings: unknown[]
    }
    t.equal(json.findings.length, 2)
  },
)

t.test('check accepts a valid file, and says which file cannot be read', async t => {
  const path = await configFile(t, 'http: { addr: "127.0.0.1:5000" }\n')
  t.match(await runCli(['check', '--config', path]), { exitCode: 0, stdout: /is valid/ })
  t.match(await runCli(['check', '--config', `${path}.gone`]), {
    exitCode: 78,
    stderr: /^the configuration .*\.gone cannot be read: there is no such file$/m,
  })
})

t.test('check --online tells which upstream answers', async t => {
  const stub = await startStub(t)
  const path = await configFile(t, `upstreams:\n  docker.io: { url: "${stub.url}", http: true }\n`)
  t.match(await runCli(['check', '--config', path, '--online']), {
    exitCode: 0,
    stdout: /docker\.io +yes/,
  })
})

const ACCESS = 'access: [{ who: "oidc:ci:app", match: "**", allow: [pull] }]\n'

t.test('R807: check --online asks identity providers for their keys, too', async t => {
  const [stub, right, other] = await Promise.all([startStub(t), startIssuer(t), startIssuer(t)])
  other.behaviour.metadata = own => ({ body: JSON.stringify({ ...own, issuer: `${other.url}/` }) })
  const provider = (url: string) => `{ issuer: "${url}", audiences: [edge.example.com] }`
  const upstreams = `upstreams:\n  docker.io: { url: "${stub.url}", http: true }\n`
  const online = async (oidc: string) => {
    const path = await configFile(t, `${upstreams}${ACCESS}auth: { oidc: { ${oidc} } }\n`)
    return runCli(['check', '--config', path, '--online'])
  }
  t.match(await online(`ci: ${provider(right.url)}`), {
    exitCode: 0,
    stdout: /\nPROVIDER .*\nci +yes +http:.* gives its keys\n$/,
  })
  const both = await online(`ci: ${provider(right.url)}, typo: ${provider(other.url)}`)
  t.match(both, { exitCode: 1, stdout: /\nci +yes .*\ntypo +no .*of another issuer, ".*\/"\n$/ })
})

t.test('schema prints a JSON Schema', async t => {
  const schema = JSON.parse((await runCli(['schema'])).stdout) as Record<string, unknown>
  t.match(schema, { type: 'object', properties: { upstreams: {}, http: {} } })
})

t.test('a command whose server is not running says so and ends with 69', async t => {
  const result = await runCli(['status', '--socket', '/nonexistent/admin.sock'])
  t.equal(result.exitCode, 69)
  t.match(result.stderr, /no server listens there/)
})

t.test('check --online waits for an upstream that does not answer, and then says so', async t => {
  const stub = await startStubRegistry()
  await stub.stop()
  const { code, output } = await checkOnline(t, { 'docker.io': stub.url })
  t.equal(code, 1)
  t.match(output, /docker\.io +no /)
})

t.test('check --online ends with 1 when one upstream of two does not answer', async t => {
  const [alive, dead] = await Promise.all([startStubRegistry(), startStubRegistry()])
  t.teardown(() => alive.stop())
  await dead.stop()
  for (const upstreams of [
    { 'docker.io': alive.url, 'ghcr.io': dead.url },
    { 'docker.io': dead.url, 'ghcr.io': alive.url },
  ]) {
    const { code, output } = await checkOnline(t, upstreams)
    t.equal(code, 1)
    t.match(output, / yes /)
    t.match(output, / no /)
  }
})

/** By a process of its own: whatever it waits for ends with it. */
async function checkOnline(
  t: Parameters<typeof configFile>[0],
  upstreams: Readonly<Record<string, string>>,
) {
  const entries = Object.entries(upstreams).map(
    ([host, url]) => `  ${host}: { url: "${url}", http: true }\n`,
  )
  const path = await configFile(t, `upstreams:\n${entries.join('')}`)
  const main = new URL('../../../src/main.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [main, 'check', '--config', path, '--online'], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { code, output }
}

t.test('a reader that has seen enough ends a command without a stack trace', async t => {
  const main = new URL('../../../src/main.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [main, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  t.equal(await text(child.stderr), '')
})
