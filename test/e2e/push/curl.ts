// curl: the protocol by hand, as scripts speak it; a small blob at once, a large one by PATCH, so
// large that curl asks first whether it may send it, and one of which it does not know the length.
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withDigest } from '../../kit/clients/raw-push.ts'
import { freshDirectory, runCommand } from '../processes.ts'
import { readWhole, type Scenario } from './scene.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
/** From 1 MiB on it sends `Expect: 100-continue`. */
const LARGE_BYTES = 2 * 1024 * 1024

const curl = (...args: string[]) =>
  runCommand('/usr/bin/curl', ['--silent', '--show-error', '--fail', ...args])

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

async function begin(uploads: string): Promise<string> {
  const headers = await curl('--request', 'POST', '--dump-header', '-', uploads)
  const location = /^location: (?<location>\S+)/im.exec(headers)?.groups?.['location']
  return new URL(location ?? '', uploads).href
}

export const curlPushes: Scenario = {
  name: 'curl',
  async run(t, { target }) {
    const directory = freshDirectory('curl')
    const repository = `http://${target}/v2/localhost/curl/app`
    const uploads = `${repository}/blobs/uploads/`
    const file = (name: string, bytes: Buffer) => {
      const path = join(directory, name)
      writeFileSync(path, bytes)
      return { path, digest: digestOf(bytes), size: bytes.length }
    }
    const octets = ['--header', 'Content-Type: application/octet-stream']

    const config = file('config', Buffer.from('{}'))
    const sent = ['--data-binary', `@${config.path}`]
    await curl('--request', 'POST', ...octets, ...sent, `${uploads}?digest=${config.digest}`)

    const large = file('large', Buffer.alloc(LARGE_BYTES, 'large'))
    const upload = await begin(uploads)
    await curl('--request', 'PATCH', ...octets, '--data-binary', `@${large.path}`, upload)
    await curl('--request', 'PUT', withDigest(upload, large.digest))

    const piped = file('piped', Buffer.from('of unknown length'))
    const second = await begin(uploads)
    const chunked = ['--header', 'Transfer-Encoding: chunked', '--upload-file', piped.path]
    await curl(...chunked, withDigest(second, piped.digest))

    const layers = [large, piped].map(({ digest, size }) => {
      return { mediaType: 'application/octet-stream', digest, size }
    })
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: 'application/json', digest: config.digest, size: config.size },
      layers,
    }
    const { path, digest } = file('manifest', Buffer.from(JSON.stringify(manifest)))
    const type = ['--header', `Content-Type: ${MANIFEST}`]
    await curl(...type, '--upload-file', path, `${repository}/manifests/v1`)
    t.equal((await readWhole(target, 'localhost/curl/app', 'v1')).digest, digest)
    await curl('--head', `${repository}/manifests/v1`)
    await curl('--request', 'DELETE', `${repository}/manifests/${digest}`)
  },
}
