// Goal: commands that need no server say what is right and wrong in words that a person can act on, with documented exit codes.
// Method: each command is run as main.ts runs it, with streams of the test's own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { COMMANDS } from '../../../src/cli/commands.ts'
import { runCli } from '../../kit/cli.ts'
import { startStubRegistry } from '../../kit/stub-registry.ts'

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
    stderr: /cannot be read/,
  })
})

t.test('check --online tells which upstream answers', async t => {
  const stub = await startStubRegistry()
  t.teardown(() => stub.stop())
  const path = await configFile(t, `upstreams:\n  docker.io: { url: "${stub.url}", http: true }\n`)
  t.match(await runCli(['check', '--config', path, '--online']), {
    exitCode: 0,
    stdout: /docker\.io +yes/,
  })
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
  const path = await configFile(t, `upstreams:\n  docker.io: { url: "${stub.url}", http: true }\n`)
  const main = new URL('../../../src/main.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [main, 'check', '--config', path, '--online'], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  t.equal(code, 1)
  t.match(output, /docker\.io +no /)
})

t.test('a reader that has seen enough ends a command without a stack trace', async t => {
  const main = new URL('../../../src/main.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [main, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  t.equal(await text(child.stderr), '')
})
