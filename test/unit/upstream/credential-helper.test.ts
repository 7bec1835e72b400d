// Goal: credential helpers are asked as docker asks them, and nothing of theirs comes into an
// error. Method: helpers written as shell scripts into a directory on the PATH.
import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter } from 'node:path'
import t from 'tap'
import { runHelper } from '../../../src/upstream/auth/credential-helper.ts'
import { createCredentials } from '../../../src/upstream/auth/credentials.ts'
import { configOf } from '../../kit/load-text.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { failureOf, textsOf } from '../../kit/open-upstream.ts'

const directory = t.testdir()
const PATH = `${directory}${delimiter}${process.env.PATH ?? ''}`
const environment = () => ({ PATH })

function helper(name: string, script: string): string {
  const file = `${directory}/docker-credential-${name}`
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  return name
}

t.test('R157: a helper reads the server on its input and gives user and secret', async t => {
  const name = helper(
    'echo',
    'read server; [ "$1" = get ] && printf \'{"ServerURL":"%s","Username":"AWS","Secret":"for %s"}\' "$server" "$server"',
  )
  t.same(await runHelper(name, 'r.example', environment), {
    username: 'AWS',
    secret: 'for r.example',
  })
})

t.test('a helper that knows nothing of the server means anonymous', async t => {
  const name = helper('none', 'echo "credentials not found in native keychain"; exit 1')
  t.equal(await runHelper(name, 'r.example', environment), undefined)
})

t.test('R195: a helper that fails is named, and nothing that it printed is', async t => {
  const cases = [
    helper('fails', 'echo CANARY; echo CANARY >&2; exit 3'),
    helper('babbles', 'echo CANARY'),
    helper('floods', 'head -c 200000 /dev/zero | tr "\\0" C; echo CANARY'),
    'not-installed',
  ]
  for (const name of cases) {
    const error = await failureOf(runHelper(name, 'r.example', environment))
    t.equal(error.failure, 'unavailable', name)
    t.match(error.message, name)
    t.notMatch(textsOf(error), /CANARY/, name)
  }
  t.throws(() => runHelper('../../bin/sh', 'r.example', environment), /no name of a helper/)
})

t.test(
  'R157: what a helper gave is asked for again after six hours, or when it was refused',
  async t => {
    const name = helper(
      'counts',
      `n=$(cat ${directory}/n 2>/dev/null || echo 0); echo $((n+1)) > ${directory}/n
     printf '{"Username":"AWS","Secret":"secret %s"}' $n`,
    )
    const clock = createManualClock()
    const credentials = createCredentials({
      source: { kind: 'helper', name, environment },
      hosts: ['r'],
      clock,
    })
    const secret = async () => (await credentials.find())?.secret
    t.equal(await secret(), 'secret 0')
    t.equal(await secret(), 'secret 0')
    t.notOk(credentials.refused(), 'as fresh as it can be')
    await clock.advance(10_000)
    t.ok(credentials.refused())
    t.equal(await secret(), 'secret 1')
    await clock.advance(6 * 60 * 60 * 1000)
    t.equal(await secret(), 'secret 2')
  },
)

t.test('R195: credentials that cannot be read are an outage that names no secret', async t => {
  const clock = createManualClock()
  const broken = [
    {
      kind: 'basic',
      username: 'u',
      password: () => {
        throw new Error('CANARY')
      },
    },
    {
      kind: 'docker-config',
      readText: () => Promise.reject(new Error('CANARY')),
      environment,
    },
    {
      kind: 'docker-config',
      readText: () => Promise.resolve('{"auths": CANARY'),
      environment,
    },
  ] as const
  for (const source of broken) {
    const error = await failureOf(
      (async () => createCredentials({ source, hosts: ['r'], clock }).find())(),
    )
    t.equal(error.failure, 'unavailable')
    t.notMatch(textsOf(error), /CANARY/)
  }
})

t.test(
  'R277: a helper sees of the environment what it needs, and none of what is secret here',
  async t => {
    const name = helper(
      'tells',
      `printf '{"Username":"u","Secret":"%s"}' "$(env | cut -d= -f1 | sort | tr '\\n' ' ')"`,
    )
    const text = `upstreams: { docker.io: { credentials: { helper: ${name} } } }
access: [{ who: "*", match: "docker.io/**", allow: [pull] }]`
    const config = configOf(text, {
      env: {
        PATH,
        HOME: '/home/edge',
        AWS_SECRET_ACCESS_KEY: 'theirs',
        ENTREPOT_LOG_LEVEL: 'warn',
        OTHER_TOKEN: 'CANARY',
      },
    })
    const credentials = config.upstreams.find(
      ({ registry }) => registry === 'docker.io',
    )?.credentials
    if (credentials?.kind !== 'helper') throw new Error('no helper')
    t.notMatch(JSON.stringify(config), /theirs/)
    // Of this process, as a server's that was started with it.
    process.env['OTHER_TOKEN'] = 'CANARY'
    t.teardown(() => delete process.env['OTHER_TOKEN'])
    const answer = await runHelper(name, 'r.example', credentials.environment)
    const seen = (answer?.secret ?? '').trim().split(' ')
    const theirs = ['AWS_SECRET_ACCESS_KEY', 'HOME', 'PATH']
    t.same(Object.keys(credentials.environment()).toSorted(), theirs)
    // Whoever runs this test adds some of its own.
    t.same(
      theirs.filter(each => !seen.includes(each)),
      [],
    )
    t.notOk(seen.includes('OTHER_TOKEN') || seen.includes('ENTREPOT_LOG_LEVEL'))
  },
)
