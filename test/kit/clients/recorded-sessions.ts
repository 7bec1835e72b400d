// What the clients send when they pull through a mirror, and when they push, request by request, as
// recorded from the real ones (docs/clients.md): which URLs in which order with which headers. Used
// as seeds for mutation; `HOST` in a header stands for the edge's address.
import type { Image } from '../image.ts'

export interface RecordedRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly target: string
  /** One line each, in order; names in the client's own spelling. */
  readonly headers: readonly string[]
  readonly body?: string
}

export interface RecordedSession {
  readonly client: string
  readonly requests: readonly RecordedRequest[]
}

const OCI_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
]
const DOCKER_TYPES = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
const GO_ENCODING = 'Accept-Encoding: gzip'
const CONTAINERD_ENCODING = 'Accept-Encoding: zstd;q=1.0, gzip;q=0.8, deflate;q=0.5'

/** Sessions that pull `index`, which has one image, from `name` (`library/alpine`) under `tag`. */
export function recordedSessions(name: string, tag: string, index: Image): RecordedSession[] {
  const image = index.children[0] ?? index
  const blobs = [image.config, ...image.layers].map(blob => blob.digest)
  const what = { name, tag, index: index.manifest.digest, manifest: image.manifest.digest, blobs }
  return [
    graphDriverDocker(what),
    containerd('containerd 2', what),
    containerd('dockerd on containerd', what),
    containersImage('podman 4', what),
    containersImage('skopeo 1.9', what),
    buildkit(what),
    crane(what),
  ]
}

interface What {
  readonly name: string
  readonly tag: string
  readonly index: string
  readonly manifest: string
  readonly blobs: readonly string[]
}

/** One Accept header per type; separate HEAD and GET; resumes by Range. */
function graphDriverDocker({ name, tag, index, manifest, blobs }: What): RecordedSession {
  const agent = 'User-Agent: docker/20.10.24 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0 os/linux'
  const headers = ['Host: HOST', agent]
  const types = [...DOCKER_TYPES, ...OCI_TYPES].map(type => `Accept: ${type}`)
  const get = (target: string, more: readonly string[] = []): RecordedRequest => ({
    method: 'GET',
    target,
    headers: [...headers, ...more, GO_ENCODING],
  })
  return {
    client: 'dockerd 20.10',
    requests: [
      get('/v2/'),
      { method: 'HEAD', target: `/v2/${name}/manifests/${tag}`, headers: [...headers, ...types] },
      get(`/v2/${name}/manifests/${index}`, types),
      get(`/v2/${name}/manifests/${manifest}`, types),
      ...blobs.map(digest => get(`/v2/${name}/blobs/${digest}`, ['Accept-Encoding: identity'])),
      ...blobs.map(digest => get(`/v2/${name}/blobs/${digest}`, ['Range: bytes=10-'])),
    ],
  }
}

/** `ns` on everything, a joined Accept that ends in everything, open ranges. */
function containerd(client: string, { name, tag, index, manifest, blobs }: What): RecordedSession {
  const query = '?ns=docker.io'
  const headers = ['Host: HOST', 'User-Agent: containerd/v2.4.2']
  const accept = `Accept: ${[...DOCKER_TYPES, ...OCI_TYPES].join(', ')}, */*`
  const get = (target: string, more: readonly string[] = []): RecordedRequest => ({
    method: 'GET',
    target: target + query,
    headers: [...headers, accept, CONTAINERD_ENCODING, ...more],
  })
  return {
    client,
    requests: [
      {
        method: 'HEAD',
        target: `/v2/${name}/manifests/${tag}${query}`,
        headers: [...headers, accept],
      },
      get(`/v2/${name}/manifests/${index}`),
      get(`/v2/${name}/manifests/${manifest}`),
      { method: 'HEAD', target: `/v2/${name}/blobs/${blobs[0]}${query}`, headers },
      ...blobs.map(digest => get(`/v2/${name}/blobs/${digest}`, ['Range: bytes=0-'])),
      get(`/v2/${name}/referrers/${index}`),
    ],
  }
}

/** The registry's name as a path prefix; ping first; partial pulls ask for many ranges. */
function containersImage(
  client: string,
  { name, tag, index, manifest, blobs }: What,
): RecordedSession {
  const base = `/v2/docker.io/${name}`
  const headers = [
    'Host: HOST',
    'User-Agent: containers/5.23.1 (github.com/containers/image)',
    'Docker-Distribution-Api-Version: registry/2.0',
  ]
  const types = [...OCI_TYPES, ...DOCKER_TYPES].map(type => `Accept: ${type}`)
  const get = (target: string, more: readonly string[] = []): RecordedRequest => ({
    method: 'GET',
    target,
    headers: [...headers, ...more, GO_ENCODING],
  })
  return {
    client,
    requests: [
      get('/v2/'),
      get(`${base}/manifests/${tag}`, types),
      get(`${base}/manifests/${index}`, types),
      get(`${base}/manifests/${manifest}`, types),
      ...blobs.map(digest => get(`${base}/blobs/${digest}`)),
      ...blobs.map(digest => get(`${base}/blobs/${digest}`, ['Range: bytes=0-9,20-29,35-39'])),
      get(`${base}/tags/list`),
      get('/v2/_catalog?n=100'),
    ],
  }
}

/** Path prefix and `ns` together. */
function buildkit({ name, tag, index, manifest, blobs }: What): RecordedSession {
  const at = (path: string) => `/v2/docker.io/${name}${path}?ns=docker.io`
  const headers = ['Host: HOST', 'User-Agent: buildkit/v0.34']
  const accept = `Accept: ${[...DOCKER_TYPES, ...OCI_TYPES].join(', ')}, */*`
  const all = [...headers, accept, CONTAINERD_ENCODING]
  return {
    client: 'BuildKit',
    requests: [
      { method: 'HEAD', target: at(`/manifests/${tag}`), headers: [...headers, accept] },
      { method: 'GET', target: at(`/manifests/${index}`), headers: all },
      { method: 'GET', target: at(`/manifests/${manifest}`), headers: all },
      ...blobs.map(
        (digest): RecordedRequest => ({
          method: 'GET',
          target: at(`/blobs/${digest}`),
          headers: all,
        }),
      ),
    ],
  }
}

/** Conditional requests, pages of 1,000, referrers, and the beginning of a push. */
function crane({ name, tag, index, manifest, blobs }: What): RecordedSession {
  const base = `/v2/docker.io/${name}`
  const headers = ['Host: HOST', 'User-Agent: crane/0.22.1 go-containerregistry/0.22.1']
  const accept = `Accept: ${[...DOCKER_TYPES, ...OCI_TYPES].join(',')}`
  const get = (target: string, more: readonly string[] = []): RecordedRequest => ({
    method: 'GET',
    target,
    headers: [...headers, ...more, GO_ENCODING],
  })
  return {
    client: 'crane',
    requests: [
      get('/v2/'),
      { method: 'HEAD', target: `${base}/manifests/${tag}`, headers: [...headers, accept] },
      get(`${base}/manifests/${index}`, [accept]),
      get(`${base}/manifests/${manifest}`, [accept, `If-None-Match: "${manifest}"`]),
      ...blobs.map(digest => get(`${base}/blobs/${digest}`)),
      get(`${base}/tags/list?n=1000`),
      get(`${base}/referrers/${manifest}?artifactType=application%2Fvnd.example.sbom.v1`),
      {
        method: 'POST',
        target: `${base}/blobs/uploads/?mount=${blobs[0]}&from=library%2Fbusybox`,
        headers: [...headers, 'Content-Type: application/json', 'Content-Length: 0'],
      },
      {
        method: 'PUT',
        target: `${base}/manifests/${tag}`,
        headers: [...headers, `Content-Type: ${OCI_TYPES[0]}`, 'Content-Length: 2'],
        body: '{}',
      },
    ],
  }
}

/**
 * How `image` is pushed to `name` (`localhost/app`): in one request, in pieces, by a mount, then
 * its manifest under a tag and by digest, and how it is deleted. Ids of uploads are made up, since
 * what is sent does not depend on answers.
 */
export function recordedPushes(name: string, image: Image): RecordedSession {
  const headers = ['Host: HOST', 'User-Agent: containers/5.36.2']
  const uploads = `/v2/${name}/blobs/uploads/`
  const upload = `${uploads}4f6a7b2c-0d1e-4c5b-9a8f-112233445566`
  const write = (
    method: RecordedRequest['method'],
    target: string,
    { lines = [], body }: { lines?: readonly string[]; body?: Buffer | string } = {},
  ): RecordedRequest => {
    const text = body?.toString('latin1') ?? ''
    const length = Buffer.byteLength(text, 'latin1')
    return {
      method,
      target,
      headers: [...headers, ...lines, `Content-Length: ${length}`],
      body: text,
    }
  }
  const octets = 'Content-Type: application/octet-stream'
  const typed = [`Content-Type: ${image.manifest.mediaType}`]
  return {
    client: 'pushes',
    requests: [
      ...[image.config, ...image.layers].flatMap(({ digest, bytes }) => [
        write('POST', `${uploads}?digest=${digest}`, { lines: [octets], body: bytes() }),
        write('POST', `${uploads}?mount=${digest}&from=localhost%2Fother`),
        write('PATCH', upload, { lines: [octets, 'Content-Range: 0-4'], body: 'hello' }),
        write('PUT', `${upload}?digest=${digest.replace(':', '%3A')}`, { body: bytes() }),
      ]),
      write('GET', upload),
      write('DELETE', upload),
      write('PUT', `/v2/${name}/manifests/v1`, { lines: typed, body: image.manifest.bytes }),
      write('PUT', `/v2/${name}/manifests/${image.manifest.digest}?tag=a&tag=b`, {
        lines: typed,
        body: image.manifest.bytes,
      }),
      write('DELETE', `/v2/${name}/manifests/a`),
      write('DELETE', `/v2/${name}/blobs/${image.config.digest}`),
    ],
  }
}

/** The bytes on the wire. */
export function requestBytes(request: RecordedRequest, host: string): Buffer {
  const { method, target, headers, body = '' } = request
  const lines = [`${method} ${target} HTTP/1.1`, ...headers].map(line => line.replace('HOST', host))
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1')
}
