// Goal: a blob that another repository has need not be sent again, and nobody learns by it what
// they may not read. Method: requests over loopback sockets to the real port over a registry in
// memory.
import t from 'tap'
import type { Access } from '../../../src/access/access.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { repositoryKey } from '../../../src/oci/reference.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { createSend, errorCodeOf, locationOf } from '../../kit/clients/raw-push.ts'
import { ANYBODY } from '../../kit/worlds/test-access.ts'

const UPLOADS = '/v2/localhost/team/app/blobs/uploads/'
const BLOB = Buffer.from('a blob that is pushed')
const DIGEST = digestOf(BLOB)

async function open(test: Parameters<typeof createTestApp>[0]) {
  const app = createTestApp(test)
  return { ...app, send: createSend(await app.listen()) }
}

t.test(
  'R109: a blob that another repository has is mounted, in the form of the request',
  async t => {
    const { send, registry } = await open(t)
    registry.addBlob('localhost/source', BLOB)
    const cases = [
      ['/v2/localhost/team/app', 'from=localhost%2Fsource', ''],
      ['/localhost/v2/team/app', 'from=source', ''],
      ['/v2/team/app', 'ns=localhost&from=source', '?ns=localhost'],
    ] as const
    for (const [prefix, query, suffix] of cases) {
      const answer = await send('POST', `${prefix}/blobs/uploads/?mount=${DIGEST}&${query}`)
      t.equal(answer.status, 201, prefix)
      t.equal(locationOf(answer), `${prefix}/blobs/${DIGEST}${suffix}`)
      t.equal(answer.headers['docker-content-digest'], DIGEST)
      t.same((await send('GET', locationOf(answer))).body, BLOB)
      await send('DELETE', locationOf(answer))
    }
    const anonymous = await send('POST', `${UPLOADS}?mount=${DIGEST}`)
    t.equal(anonymous.status, 201, 'without from, any repository here that may be read')
  },
)

t.test('R109: what cannot be mounted is an upload, never an error', async t => {
  const { send, registry } = await open(t)
  registry.addBlob('localhost/source', BLOB)
  registry.addBlob('quay.io/a/b', BLOB)
  const cases = [
    'from=localhost%2Fempty',
    'from=',
    'from=A..B',
    'from=%2F..%2F',
    'from=nowhere.example%2Fa',
    `from=${'a'.repeat(300)}`,
  ]
  for (const query of cases) {
    const answer = await send('POST', `${UPLOADS}?mount=${DIGEST}&${query}`)
    t.equal(answer.status, 202, query)
    t.equal((await send('DELETE', locationOf(answer))).status, 204, 'which a client may cancel')
  }
  const unknown = digestOf(Buffer.from('nobody has this'))
  const started = await send('POST', `${UPLOADS}?mount=${unknown}`)
  t.equal(started.status, 202)
  for (const mount of ['', 'sha256:00', 'md5:0123']) {
    const answer = await send('POST', `${UPLOADS}?mount=${mount}&from=localhost%2Fsource`)
    t.equal(answer.status, 400, mount)
    t.equal(errorCodeOf(answer), 'DIGEST_INVALID')
  }
})

t.test('R109: what cannot be mounted and comes with its content is pushed at once', async t => {
  const { send } = await open(t)
  const target = `${UPLOADS}?mount=${DIGEST}&from=localhost%2Fempty&digest=${DIGEST}`
  t.equal((await send('POST', target, { body: BLOB })).status, 201)
})

t.test(
  'R182: a mount takes the right to pull the source; without it the source shows in nothing',
  async t => {
    const asked: string[] = []
    const access: Access = {
      ...ANYBODY,
      decide({ resource, action }) {
        if (typeof resource === 'string') return { kind: 'denied', reason: 'no' }
        asked.push(`${action} ${repositoryKey(resource)}`)
        const isPrivate = action === 'pull' && resource.name.includes('private')
        return isPrivate
          ? { kind: 'denied', reason: 'private' }
          : { kind: 'allowed', anonymously: false }
      },
    }
    const { listen, registry } = createTestApp(t, { access })
    const send = createSend(await listen())
    registry.addBlob('localhost/private', BLOB)
    const refused = await send('POST', `${UPLOADS}?mount=${DIGEST}&from=localhost%2Fprivate`)
    t.equal(refused.status, 202)
    t.same(asked, ['push localhost/team/app', 'pull localhost/private'])
    t.notOk(registry.calls.some(call => call.startsWith('mountBlob')))
    t.equal((await send('POST', `${UPLOADS}?mount=${DIGEST}`)).status, 202, 'nor without from')
    registry.addBlob('localhost/public', BLOB)
    t.equal((await send('POST', `${UPLOADS}?mount=${DIGEST}`)).status, 201)
  },
)
