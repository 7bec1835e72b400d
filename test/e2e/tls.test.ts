// Goal: clients that trust the edge's authority, each in its own way, pull and push through TLS,
// and those that do not are not let through. Method: the process that `npm start` starts, with two
// HTTP threads and a certificate made for the run; a real registry as the upstream.
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeCertificate } from '../kit/certificate.ts'
import { type EdgeProcess, startEdge } from '../kit/worlds/edge-process.ts'
import type { Image } from '../kit/image.ts'
import type { ClientDriver } from './client-driver.ts'
import { containerd } from './clients/containerd.ts'
import { crane } from './clients/crane.ts'
import { dockerdContainerd } from './clients/dockerd-containerd.ts'
import { dockerdGraph } from './clients/dockerd-graph.ts'
import { podman } from './clients/podman.ts'
import { skopeo } from './clients/skopeo.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory, runCommand } from './processes.ts'
import { goTool, packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(600_000)

/** More than one read of the disk, and more than one record of TLS. */
const LAYERS = [30_000, 5 * 1024 * 1024]
/**
 * `strict`: it refuses an edge on loopback whose authority it does not know; dockerd takes any
 * there.
 */
const CLIENTS: readonly { make(): ClientDriver; strict: boolean }[] = [
  { make: skopeo, strict: true },
  { make: crane, strict: true },
  { make: podman, strict: true },
  { make: containerd, strict: true },
  { make: dockerdGraph, strict: false },
  { make: dockerdContainerd, strict: false },
]

interface Scene {
  readonly edge: EdgeProcess
  readonly authority: string
  /** Holds `ca.crt`. */
  readonly certificates: string
  readonly image: Image
}

async function stage(test: Test): Promise<Scene> {
  const upstream = UPSTREAM_SERVERS['docker-registry 2.8']()
  await upstream.start()
  const image = layeredImage({ seed: 'tls', layerBytes: LAYERS, mediaTypes: 'docker' })
  await push(upstream.url(), image, { name: 'library/tls', tag: 'v1' })
  const directory = freshDirectory('edge')
  const edge = await startEdge({
    directory,
    tls: true,
    upstreams: { 'docker.io': { url: upstream.url(), http: true } },
    config: { http: { threads: 2 } },
  })
  test.teardown(async () => {
    await edge.stop()
    await upstream.stop()
  })
  const certificates = freshDirectory('ca')
  copyFileSync(join(directory, 'ca.crt'), join(certificates, 'ca.crt'))
  return { edge, authority: new URL(edge.url).host, certificates, image }
}

t.test('TLS: every client that knows the authority pulls, and the others do not', async t => {
  const { authority, certificates, image } = await stage(t)
  const strangers = freshDirectory('ca')
  writeFileSync(join(strangers, 'ca.crt'), makeCertificate().ca)
  for (const { make, strict } of CLIENTS) {
    const client = make()
    await client.start({ authority, shape: 'plain', certificates })
    const { resolved, holds } = await client.pull({ name: 'library/tls', reference: 'v1' })
    t.ok(
      resolved.includes(image.manifest.digest) || holds.has(image.manifest.digest),
      `${client.name}: pulls what was pushed`,
    )
    await client.stop()
    if (!strict) continue
    const stranger = make()
    await stranger.start({ authority, shape: 'plain', certificates: strangers })
    await t.rejects(
      stranger.pull({ name: 'library/tls', reference: 'v1' }),
      /certificate|x509|unknown authority|nowhere\.invalid/,
      `${client.name}: refuses an authority that it does not know`,
    )
    await stranger.stop()
  }
})

t.test('TLS: a push from the edge’s own machine is taken, and comes back the same', async t => {
  const { authority, certificates, image } = await stage(t)
  const policy = join(freshDirectory('sk'), 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const at = `docker://${authority}`
  const trust = ['--src-cert-dir', certificates, '--dest-cert-dir', certificates]
  const copy = ['--policy', policy, 'copy', '--preserve-digests', ...trust]
  const target = `${at}/localhost/team/app:v1`
  await runCommand(packagedTool('skopeo'), [...copy, `${at}/library/tls:v1`, target])
  const env = { SSL_CERT_FILE: join(certificates, 'ca.crt') }
  const digest = await runCommand(
    goTool('crane'),
    ['digest', `${authority}/localhost/team/app:v1`],
    { env },
  )
  t.equal(digest.trim(), image.manifest.digest)
  const listed = await runCommand('curl', [
    '-sS',
    '--cacert',
    join(certificates, 'ca.crt'),
    `https://${authority}/v2/localhost/team/app/tags/list`,
  ])
  t.match(JSON.parse(listed), { tags: ['v1'] })
})

t.test('TLS: curl speaks both versions, and is told when it forgets the s', async t => {
  const { authority, certificates } = await stage(t)
  const trust = ['--cacert', join(certificates, 'ca.crt')]
  const url = `https://${authority}/v2/`
  const version = ['-sS', '-o', '/dev/null', '-w', '%{http_code} %{http_version}\n']
  t.match(await runCommand('curl', [...version, ...trust, url]), /^200 1\.1/)
  t.match(await runCommand('curl', [...version, ...trust, '--tls-max', '1.2', url]), /^200 1\.1/)
  const plain = await runCommand('curl', ['-sS', `http://${authority}/v2/`])
  t.match(plain, /speaks TLS and got plain HTTP/)
})
