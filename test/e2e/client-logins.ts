// How each client logs in to an edge, pushes and pulls there: one attempt of each, in a place of
// its own, so that no login is left of the one before.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { daemonConfig } from './clients/containerd.ts'
import { freshDirectory, runCommand, startProcess } from './processes.ts'
import { startBuilder } from './push/buildkit.ts'
import { containersIn } from './push/podman.ts'
import { goTool, packagedTool } from './tools.ts'

interface Login {
  readonly username: string
  readonly password: string
}

/** What is tried: to pull `image`, and to push to, and pull back, `target`. */
interface Attempt {
  /** `localhost:PORT`, plain HTTP. */
  readonly authority: string
  /** There, and nobody's without a login. */
  readonly image: string
  /** Without its tag. */
  readonly target: string
  /** Undefined: without any. */
  readonly login: Login | undefined
}

/** @throws Error with what the client wrote */
type Tries = (attempt: Attempt) => Promise<void>

const LAX = ['--tls-verify=false'] as const
const named = ({ username, password }: Login) => ['-u', username, '-p', password] as const

const podman: Tries = async ({ authority, image, target, login }) => {
  const { podman: run, policy } = containersIn(freshDirectory('pm'))
  if (login !== undefined) await run('login', ...LAX, ...named(login), authority)
  await run('pull', ...LAX, ...policy, image)
  await run('push', ...LAX, ...policy, image, `${target}:v1`)
  await run('rmi', '--all', '--force')
  await run('pull', ...LAX, ...policy, `${target}:v1`)
}

const buildah: Tries = async ({ authority, image, target, login }) => {
  const { buildah: run, policy } = containersIn(freshDirectory('ba'))
  if (login !== undefined) await run('login', ...LAX, ...named(login), authority)
  await run('pull', ...LAX, ...policy, image)
  await run('push', ...LAX, ...policy, image, `docker://${target}:v1`)
  await run('rmi', '--all', '--force')
  await run('pull', ...LAX, ...policy, `${target}:v1`)
}

const skopeo: Tries = async ({ authority, image, target, login }) => {
  const directory = freshDirectory('sk')
  const policy = join(directory, 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const env = { REGISTRY_AUTH_FILE: join(directory, 'auth.json') }
  const run = (...args: readonly string[]) =>
    runCommand(packagedTool('skopeo'), ['--policy', policy, ...args], { env })
  if (login !== undefined) await run('login', ...LAX, ...named(login), authority)
  const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
  await run('copy', ...plain, `docker://${image}`, `docker://${target}:v1`)
  await run('copy', '--src-tls-verify=false', `docker://${target}:v1`, `dir:${directory}/back`)
}

const crane: Tries = async ({ authority, image, target, login }) => {
  const env = { DOCKER_CONFIG: freshDirectory('cr') }
  const run = (...args: readonly string[]) =>
    runCommand(goTool('crane'), [...args, '--insecure'], { env })
  if (login !== undefined) await run('auth', 'login', authority, ...named(login))
  await run('copy', image, `${target}:v1`)
  await run('validate', '--remote', `${target}:v1`)
}

const regctl: Tries = async ({ authority, image, target, login }) => {
  const env = { REGCTL_CONFIG: join(freshDirectory('rc'), 'config.json') }
  const run = (...args: readonly string[]) => runCommand(goTool('regctl'), args, { env })
  await run('registry', 'set', authority, '--tls', 'disabled')
  if (login !== undefined) await run('registry', 'login', authority, ...named(login))
  await run('image', 'copy', image, `${target}:v1`)
  await run('image', 'export', `${target}:v1`, join(freshDirectory('rc'), 'image.tar'))
}

const oras: Tries = async ({ authority, image, target, login }) => {
  const directory = freshDirectory('or')
  const kept = ['--registry-config', join(directory, 'config.json')]
  const run = (...args: readonly string[]) =>
    runCommand(goTool('oras'), [...args, ...kept, '--plain-http'], { cwd: directory })
  if (login !== undefined) await run('login', ...named(login), authority)
  await run('manifest', 'fetch', image)
  writeFileSync(join(directory, 'report.txt'), 'all is well\n')
  await run('push', `${target}:v1`, 'report.txt:text/plain')
  await run('pull', '-o', 'back', `${target}:v1`)
}

const helm: Tries = async ({ authority, target, login }) => {
  const directory = freshDirectory('hm')
  const env = {
    HELM_CACHE_HOME: join(directory, 'cache'),
    HELM_CONFIG_HOME: join(directory, 'config'),
    HELM_DATA_HOME: join(directory, 'data'),
  }
  const run = (...args: readonly string[]) =>
    runCommand(goTool('helm'), args, { env, cwd: directory })
  if (login !== undefined)
    await run('registry', 'login', authority, ...named(login), '--plain-http')
  mkdirSync(join(directory, 'demo'))
  writeFileSync(
    join(directory, 'demo', 'Chart.yaml'),
    'apiVersion: v2\nname: demo\nversion: 1.0.0\ntype: application\n',
  )
  await run('package', join(directory, 'demo'), '--destination', directory)
  await run('push', 'demo-1.0.0.tgz', `oci://${target}`, '--plain-http')
  const back = join(directory, 'back')
  mkdirSync(back)
  await run('pull', `oci://${target}/demo`, '--version', '1.0.0', '--plain-http', '-d', back)
}

const cosign: Tries = async ({ authority, image, target, login }) => {
  const directory = freshDirectory('cs')
  const env = { COSIGN_PASSWORD: '', DOCKER_CONFIG: directory }
  const run = (...args: readonly string[]) =>
    runCommand(goTool('cosign'), args, { env, cwd: directory })
  if (login !== undefined) await run('login', authority, ...named(login))
  const copied = ['copy', '--insecure', image, `${target}:v1`]
  await runCommand(goTool('crane'), copied, { env })
  const digest = await runCommand(goTool('crane'), ['digest', '--insecure', `${target}:v1`], {
    env,
  })
  const signed = `${target}@${digest.trim()}`
  await run('generate-key-pair')
  const plain = '--allow-http-registry'
  const key = ['--key', 'cosign.key', '--use-signing-config=false']
  await run('sign', '--yes', plain, '--tlog-upload=false', ...key, signed)
  await run('verify', plain, '--insecure-ignore-tlog=true', '--key', 'cosign.pub', signed)
}

const containerd: Tries = async ({ image, target, login }) => {
  const directory = freshDirectory('cd')
  const socket = join(directory, 's')
  writeFileSync(join(directory, 'config.toml'), daemonConfig(directory, socket))
  const daemon = startProcess(goTool('containerd'), ['-c', join(directory, 'config.toml')])
  try {
    await daemon.line(line => line.includes('containerd successfully booted'))
    const shown = login === undefined ? [] : ['--user', `${login.username}:${login.password}`]
    const run = (what: string, ...args: readonly string[]) =>
      runCommand(goTool('ctr'), ['-a', socket, 'images', what, ...args])
    await run('pull', '--plain-http', ...shown, image)
    await run('tag', image, `${target}:v1`)
    await run('push', '--plain-http', ...shown, `${target}:v1`)
    await run('rm', '--sync', image, `${target}:v1`)
    await run('pull', '--plain-http', ...shown, `${target}:v1`)
  } finally {
    await daemon.stop()
  }
}

/** Whoever builds has logged in with docker, whose file buildctl reads. */
const buildkit: Tries = async ({ authority, image, target, login }) => {
  const config = freshDirectory('bc')
  const auth = login && Buffer.from(`${login.username}:${login.password}`).toString('base64')
  const auths = auth === undefined ? {} : { [authority]: { auth } }
  writeFileSync(join(config, 'config.json'), JSON.stringify({ auths }), { mode: 0o600 })
  const builder = await startBuilder(authority, { from: image, dockerConfig: config })
  try {
    await builder.build('--output', `type=image,name=${target}:v1,push=true`)
  } finally {
    await builder.daemon.stop()
  }
}

export const CLIENT_LOGINS: readonly { readonly name: string; readonly tries: Tries }[] = [
  { name: 'podman', tries: podman },
  { name: 'buildah', tries: buildah },
  { name: 'skopeo', tries: skopeo },
  { name: 'crane', tries: crane },
  { name: 'regctl', tries: regctl },
  { name: 'oras', tries: oras },
  { name: 'helm', tries: helm },
  { name: 'cosign', tries: cosign },
  { name: 'containerd', tries: containerd },
  { name: 'BuildKit', tries: buildkit },
]
