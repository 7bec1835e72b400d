// Goal: the lines of docs/clients.md on TLS do what they say, also where a client refuses or goes
// another way than one would think. Method: the process that `npm start` starts, with a certificate
// for localhost made for the run, and each client on this machine.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { daemonConfig } from './clients/containerd.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory, runCommand, startProcess } from './processes.ts'
import { goTool, packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(300_000)

t.test('TLS: each client trusts the authority by the line that is documented', async t => {
  const upstream = UPSTREAM_SERVERS['docker-registry 2.8']()
  await upstream.start()
  t.teardown(() => upstream.stop())
  const image = layeredImage({ seed: 'lines', layerBytes: [10_000] })
  await push(upstream.url(), image, { name: 'library/app', tag: 'v1' })
  const directory = freshDirectory('edge')
  const edge = await startEdge({
    directory,
    tls: true,
    upstreams: { 'docker.io': { url: upstream.url(), http: true } },
  })
  t.teardown(() => edge.stop())
  const at = `localhost:${new URL(edge.url).port}`
  const ca = join(directory, 'ca.crt')
  const work = freshDirectory('lines')
  writeFileSync(join(work, 'file'), 'text')

  await t.test('oras', async t => {
    const line = ['push', `${at}/report:v1`, '--ca-file', ca, 'file:text/plain']
    const oras = (...args: string[]) => runCommand(goTool('oras'), args, { cwd: work })
    await t.rejects(oras(...line), { message: /400/ }, 'it takes localhost for plain HTTP')
    t.match(await oras(...line, '--plain-http=false'), /Pushed/)
  })

  await t.test('skopeo', async t => {
    const [alone, crowded] = [freshDirectory('ca'), freshDirectory('ca')]
    for (const place of [alone, crowded]) copyFileSync(ca, join(place, 'ca.crt'))
    copyFileSync(join(directory, 'tls.key'), join(crowded, 'tls.key'))
    const policy = join(work, 'policy.json')
    writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
    const copy = (from: string, to: string) => {
      const names = [`docker://${at}/library/app:v1`, `docker://${at}/my-app:${to}`]
      const trust = ['--src-cert-dir', from, '--dest-cert-dir', alone]
      return runCommand(packagedTool('skopeo'), ['--policy', policy, 'copy', ...trust, ...names])
    }
    await copy(alone, 'v1')
    await t.rejects(copy(crowded, 'v2'), { message: /missing client certificate/ })
  })

  await t.test('helm and regctl', async t => {
    mkdirSync(join(work, 'demo'))
    writeFileSync(join(work, 'demo', 'Chart.yaml'), 'apiVersion: v2\nname: demo\nversion: 1.0.0\n')
    await runCommand(goTool('helm'), ['package', 'demo'], { cwd: work })
    const to = [`oci://${at}/localhost/charts`, '--ca-file', ca]
    await runCommand(goTool('helm'), ['push', 'demo-1.0.0.tgz', ...to], { cwd: work })
    const text = await runCommand('cat', [ca])
    const env = { HOME: work }
    await runCommand(goTool('regctl'), ['registry', 'set', at, '--cacert', text], { env })
    const digest = await runCommand(goTool('regctl'), ['image', 'digest', `${at}/library/app:v1`], {
      env,
    })
    t.equal(digest.trim(), image.manifest.digest)
  })

  await t.test('ctr', async t => {
    const place = freshDirectory('cd')
    const socket = join(place, 's')
    writeFileSync(join(place, 'config.toml'), daemonConfig(place, socket))
    const daemon = startProcess(goTool('containerd'), ['-c', join(place, 'config.toml')])
    t.teardown(() => daemon.stop())
    await daemon.line(line => line.includes('containerd successfully booted'))
    const name = `${at}/library/app:v1`
    const pull = (...flags: string[]) =>
      runCommand(goTool('ctr'), ['-a', socket, 'images', 'pull', ...flags, name])
    await t.rejects(pull('--tlscacert', ca), { message: /requires "--local"/ })
    await pull('--local', '--tlscacert', ca)
  })

  await t.test('a registry that is no upstream is 404', async t => {
    for (const method of ['GET', 'POST']) {
      const path = method === 'GET' ? 'tags/list' : 'blobs/uploads/'
      const url = `https://${at}/v2/registry.example.com/team/app/${path}`
      const asked = ['-sS', '--cacert', ca, '-X', method, '-w', ' %{http_code}', url]
      t.match(await runCommand('curl', asked), /NAME_UNKNOWN.*is not an upstream.* 404$/)
    }
  })
})
