// Goal: a stub with a profile behaves as the service does that it is named for (section K). Method:
// the raw client does by hand what a registry client does, and sees each habit.
import t from 'tap'
import { makeImage } from '../../kit/image.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { PROFILES, type ProfileName } from '../../kit/stubs/stub-profiles.ts'
import { type StubOptions, startStub } from '../../kit/stubs/stub-registry.ts'

const image = makeImage({ seed: 'profiles' })
const blob = image.config

async function stubLike(profile: ProfileName, options: StubOptions = {}) {
  const stub = await startStub(t, { profile, ...options })
  stub.addImage('library/alpine', 'v1', image)
  const base = `${stub.url}${stub.behaviour.basePath}/v2/library/alpine`
  return { stub, blobUrl: `${base}/blobs/${blob.digest}`, manifestUrl: `${base}/manifests/v1` }
}

/** What a client does with the challenge of `url`. */
async function tokenFor(url: string, headers: Record<string, string> = {}): Promise<string> {
  const { headers: answered } = await get(url)
  const parameter = (name: string) =>
    new RegExp(`${name}="([^"]*)"`).exec(answered['www-authenticate'] ?? '')?.[1] ?? ''
  const query = `service=${parameter('service')}&scope=${parameter('scope')}`
  const { body } = await get(`${parameter('realm')}?${query}`, headers)
  const members = JSON.parse(body.toString())
  return members.token ?? members.access_token
}

for (const profile of Object.keys(PROFILES) as ProfileName[]) {
  t.test(
    `${profile}: a manifest and a blob can be had by a client that does all that is asked`,
    async t => {
      const { stub, blobUrl, manifestUrl } = await stubLike(profile, {
        auth: { username: 'AWS', password: 'p' },
      })
      const basic = { authorization: `Basic ${Buffer.from('AWS:p').toString('base64')}` }
      const { scheme, silentRefusal } = stub.behaviour.auth
      const headers =
        scheme === 'bearer' && !silentRefusal
          ? { authorization: `Bearer ${await tokenFor(blobUrl, basic)}` }
          : scheme === 'bearer'
            ? { authorization: `Bearer ${await silentToken(stub.url, basic)}` }
            : basic
      const follow = async (url: string) => {
        const answer = await get(url, { accept: image.manifest.mediaType, ...headers })
        return answer.status < 300 ? answer : await get(answer.headers['location'] ?? '')
      }
      t.equal((await follow(manifestUrl)).status, 200)
      t.same((await follow(blobUrl)).body, blob.bytes())
    },
  )
}

/** The realm is known from the ping alone (R144). */
async function silentToken(url: string, headers: Record<string, string>): Promise<string> {
  const ping = await get(`${url}/v2/`)
  const realm = /realm="([^"]*)"/.exec(ping.headers['www-authenticate'] ?? '')?.[1] ?? ''
  const { body } = await get(`${realm}?scope=repository:library/alpine:pull`, headers)
  return JSON.parse(body.toString()).token
}

t.test('tokens: wrong password, wrong scope, expiry, private repositories', async t => {
  const auth = { username: 'u', password: 'p', privatePrefix: 'private/' }
  const { stub, blobUrl, manifestUrl } = await stubLike('ghcr.io', { auth })
  stub.addImage('private/app', 'v1', image)
  const token = await tokenFor(blobUrl)
  t.ok(token, 'anonymous for what is public')
  const bearer = { authorization: `Bearer ${token}`, accept: image.manifest.mediaType }
  t.equal((await get(manifestUrl, bearer)).status, 200)
  t.equal(
    (await get(manifestUrl, { authorization: bearer.authorization })).status,
    404,
    'R155: Accept is needed',
  )
  const other = await get(`${stub.url}/v2/private/app/manifests/v1`, bearer)
  t.equal(other.status, 401)
  t.match(other.headers['www-authenticate'], /insufficient_scope/)
  const realm = `${stub.url}/token?service=ghcr.io&scope=repository:private/app:pull`
  t.equal((await get(realm)).status, 401)
  const basic = (pair: string) => ({
    authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
  })
  t.equal((await get(realm, basic('u:wrong'))).status, 401)
  t.equal((await get(realm, basic('u:p'))).status, 200)
  stub.expireTokens()
  const expired = await get(manifestUrl, bearer)
  t.match(expired.headers['www-authenticate'], /invalid_token/)
  t.equal(stub.count({ kind: 'token' }), 4)
})

t.test('acr: the access token of the directory is exchanged twice', async t => {
  const { stub } = await stubLike('acr', { auth: { username: 'u', password: 'p' } })
  const post = async (path: string, body: string) =>
    JSON.parse((await get(stub.url + path, {}, { method: 'POST', body })).body.toString())
  const { refresh_token } = await post('/oauth2/exchange', 'grant_type=access_token&access_token=x')
  const scope = encodeURIComponent('repository:library/alpine:pull')
  const { access_token, token } = await post(
    '/oauth2/token',
    `grant_type=refresh_token&refresh_token=${refresh_token}&scope=${scope}`,
  )
  t.ok(access_token)
  t.equal(token, undefined)
})

t.test('storage refuses what object stores refuse', async t => {
  const { stub, blobUrl } = await stubLike('docker.io')
  const bearer = { authorization: `Bearer ${await tokenFor(blobUrl)}` }
  const { status, headers } = await get(blobUrl, bearer)
  t.equal(status, 307)
  const location = headers['location'] ?? ''
  t.equal((await get(location, bearer)).status, 400, 'a second authorization')
  t.equal((await get(location, {}, { method: 'HEAD' })).status, 403)
  t.equal((await get(location, { range: 'bytes=0-1,3-4' })).status, 400)
  t.equal((await get(location)).status, 200)
  stub.expireSignatures()
  t.equal((await get(location)).status, 403)
})

t.test('habits: HEAD refused, digest left out, gzip, library/, rate limit, paging', async t => {
  const basic = { authorization: 'Basic QVdTOnA=' }
  const publicEcr = await stubLike('ecr-public')
  const token = { authorization: `Bearer ${await tokenFor(publicEcr.blobUrl)}` }
  t.equal((await get(publicEcr.blobUrl, token, { method: 'HEAD' })).status, 401)
  const ecr = await stubLike('ecr', { auth: { password: 'p' } })
  t.equal(
    (await get(ecr.manifestUrl)).headers['www-authenticate'],
    'Basic realm="ecr.amazonaws.com"',
  )
  t.equal((await get(ecr.manifestUrl, basic)).headers['docker-content-digest'], undefined)
  const harbor = await stubLike('harbor', { auth: { scheme: 'none' } })
  const zipped = await get(harbor.manifestUrl, { 'accept-encoding': 'gzip' })
  t.equal(zipped.headers['content-encoding'], 'gzip')
  t.equal((await get(harbor.manifestUrl)).headers['content-encoding'], undefined)
  const moved = await get(`${harbor.stub.url}/v2/alpine/manifests/v1`)
  t.equal(moved.status, 301)
  t.equal(moved.headers['location'], harbor.manifestUrl)
  const hub = await stubLike('docker.io', { auth: { scheme: 'none' } })
  await get(hub.manifestUrl)
  t.equal((await get(hub.manifestUrl)).headers['ratelimit-remaining'], '99;w=21600')
  const quay = await stubLike('quay.io', { auth: { scheme: 'none' } })
  quay.stub.addImage('library/alpine', 'a', image)
  const page = await get(`${quay.stub.url}/v2/library/alpine/tags/list?n=1`)
  t.same(JSON.parse(page.body.toString()).tags, ['v1'], 'unsorted')
  const next = /<(.*)>/.exec(page.headers['link'] ?? '')?.[1] ?? ''
  t.match(next, /next_page=/)
  t.same(JSON.parse((await get(quay.stub.url + next)).body.toString()).tags, ['a'])
})
