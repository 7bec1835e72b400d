// A registry that a test fills, counts and makes fail: an upstream for the edge (R241). HTTP from
// node:http, on loopback, with a second host for redirected blobs. What it may do wrong is in
// stub-faults.ts, whom it can be like in stub-profiles.ts.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { closeServer } from '../loopback.ts'
import type { Teardown } from '../open-upstream.ts'
import { answerFor, contentAnswer, errorAnswer } from './stub-answers.ts'
import { createStubContent } from './stub-content.ts'
import { createFaultList, type Fault, type Redirect } from './stub-faults.ts'
import {
  type AuthBehaviour,
  type Behaviour,
  PLAIN,
  PROFILES,
  type ProfileName,
} from './stub-profiles.ts'
import { isPush, pushAnswer } from './stub-pushes.ts'
import type { PushBehaviour } from './stub-push-profile.ts'
import { createRequestLog, type StubHost, type StubRequest } from './stub-requests.ts'
import { describeRequest, readForm } from './stub-targets.ts'
import { type Answer, bufferBody, sendAnswer } from './stub-sending.ts'
import { createStorage } from './stub-storage.ts'
import { createTokenService } from './stub-token.ts'
import { createUploads } from './stub-uploads.ts'

/**
 * First byte of a client that tries TLS first. It goes on without when it is told so by an answer,
 * and gives up when it is cut off.
 */
const TLS_HANDSHAKE = 0x16
const NO_TLS_HERE = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

export interface StubOptions {
  /** Default: a plain registry without quirks. */
  readonly profile?: ProfileName
  /** Over the profile. */
  readonly behaviour?: Partial<Behaviour>
  /** Over the profile's. */
  readonly auth?: Partial<AuthBehaviour>
  /** Over the profile's. */
  readonly push?: Partial<PushBehaviour>
  /** PEM; https then, for both hosts. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Default: the kernel chooses. */
  readonly port?: number
  /** Where the second host listens, and as what redirects name it. Default: the kernel chooses. */
  readonly storage?: { readonly port: number; readonly url: string }
}

export type StubRegistry = Awaited<ReturnType<typeof startStubRegistry>>

/** Stopped when the test ends. */
export async function startStub(t: Teardown, options: StubOptions = {}): Promise<StubRegistry> {
  const stub = await startStubRegistry(options)
  t.teardown(() => stub.stop())
  return stub
}

/** Listens on 127.0.0.1 until `stop()`. */
export async function startStubRegistry(options: StubOptions = {}) {
  const behaviour = behaviourOf(options)
  const content = createStubContent()
  const log = createRequestLog()
  const faults = createFaultList()
  let url = ''
  let storageUrl = ''
  const tokens = createTokenService(behaviour.auth, () => url)
  const storage = createStorage(behaviour.storage, {
    registry: () => url,
    storage: () => storageUrl,
  })
  const uploads = createUploads(behaviour, { registry: () => url, storage: () => storageUrl })
  const context = {
    content,
    uploads,
    behaviour,
    pulls: () => log.count({ kind: 'manifest', method: 'GET', status: 200 }),
  }

  async function handle(host: StubHost, message: IncomingMessage, response: ServerResponse) {
    const request = describeRequest(host, message, behaviour)
    log.add(request)
    const fault = faults.take(request)
    const normal =
      host === 'storage'
        ? await fromStorage(request, message, fault)
        : await fromRegistry(request, message, fault)
    if (normal === undefined) return
    const answer = withFault(request, fault, normal)
    await sendAnswer(response, request, { answer, fault })
  }

  async function fromRegistry(request: StubRequest, message: IncomingMessage, fault: Fault) {
    const token = tokens.answer({
      method: request.method,
      path: request.path,
      query: new URLSearchParams(request.query),
      authorization: request.headers.authorization,
      form: await readForm(message, request),
    })
    if (token !== undefined) return token
    const refusal = tokens.refuse(request)
    if (refusal !== undefined) return refusal
    const moved = movedToLibrary(request)
    if (moved !== undefined) return moved
    if (isPush(request)) return pushAnswer(context, request, { message, fault })
    const hop = new URLSearchParams(request.query).get('hop')
    if (hop !== null && hop !== 'last') return storage.redirect(request, { to: Number(hop) - 1 })
    if (fault.ignoreRange === true) delete request.headers.range
    const answer = answerFor(context, request)
    const redirects =
      hop === null &&
      answer.status < 300 &&
      ((request.kind === 'blob' && behaviour.blobs === 'redirect') ||
        (request.kind === 'manifest' && behaviour.manifests === 'redirect'))
    return redirects ? storage.redirect(request, { status: behaviour.redirectStatus }) : answer
  }

  async function fromStorage(request: StubRequest, message: IncomingMessage, fault: Fault) {
    if (request.kind === 'upload') {
      const refusal = storage.refuse(request)
      return refusal ?? pushAnswer(context, request, { message, fault })
    }
    const opened = storage.open(request)
    if ('status' in opened) return opened
    if (fault.ignoreRange === true) delete request.headers.range
    if (opened.kind === 'manifest') return answerFor(context, request)
    const blob = content.blob(opened.repository, opened.reference)
    if (blob === undefined) return errorAnswer(404, 'NoSuchKey')
    const answer = contentAnswer(blob, request, { ranges: behaviour.ranges })
    const { 'docker-content-digest': _, ...headers } = answer.headers
    return { ...answer, headers }
  }

  function withFault(request: StubRequest, fault: Fault, normal: Answer): Answer {
    if (fault.redirect !== undefined && !request.query.includes('hop=')) {
      request.range = undefined
      const { redirect } = fault
      return typeof redirect === 'string'
        ? { status: 307, headers: { location: redirect }, body: bufferBody('') }
        : storage.redirect(request, redirect satisfies Redirect)
    }
    if (fault.status !== undefined) {
      request.range = undefined
      const headers = { 'content-type': 'text/plain' }
      return { status: fault.status, headers, body: bufferBody(fault.body ?? '') }
    }
    const shifted = shiftRange(normal, fault.rangeDelta)
    return fault.body === undefined ? shifted : { ...shifted, body: bufferBody(fault.body) }
  }

  function movedToLibrary({ repository, path }: StubRequest): Answer | undefined {
    if (!behaviour.movesToLibrary || repository === '' || repository.includes('/')) return undefined
    const location = `${url}${path.replace('/v2/', '/v2/library/')}`
    return { status: 301, headers: { location }, body: bufferBody('') }
  }

  const registryServer = await listen(options, options.port ?? 0, (message, response) =>
    handle('registry', message, response),
  )
  const storageServer = await listen(options, options.storage?.port ?? 0, (message, response) =>
    handle('storage', message, response),
  )
  url = urlOf(registryServer, options)
  storageUrl = options.storage?.url ?? urlOf(storageServer, options)

  return {
    ...content,
    ...log,
    /** `http://127.0.0.1:PORT`, without the profile's base path. */
    url,
    /** `127.0.0.1:PORT`. */
    host: new URL(url).host,
    storageUrl,
    behaviour,
    fault: faults.add,
    clearFaults: faults.clear,
    /** Uploads that were begun and neither ended nor cancelled. */
    openUploads: uploads.count,
    expireTokens: tokens.expireTokens,
    expireSignatures: storage.expireSignatures,
    /** Cuts every connection and listens no more; the port is free again. */
    stop: async (): Promise<void> => {
      await Promise.all([closeServer(registryServer), closeServer(storageServer)])
    },
  }
}

function behaviourOf({ profile, behaviour, auth, push }: StubOptions): Behaviour {
  const chosen: Partial<Behaviour> = profile === undefined ? {} : PROFILES[profile]
  const merged = { ...PLAIN, ...chosen, ...behaviour }
  return { ...merged, auth: { ...merged.auth, ...auth }, push: { ...merged.push, ...push } }
}

function shiftRange(answer: Answer, delta: number | undefined): Answer {
  const range = answer.headers['content-range']
  if (delta === undefined || typeof range !== 'string') return answer
  const shifted = range.replace(/(\d+)-(\d+)/, (_, first: string, last: string) =>
    [Number(first) + delta, Number(last) + delta].join('-'),
  )
  return { ...answer, headers: { ...answer.headers, 'content-range': shifted } }
}

type Handler = (message: IncomingMessage, response: ServerResponse) => Promise<void>

function listen({ tls }: StubOptions, port: number, handler: Handler): Promise<Server> {
  const onRequest = (message: IncomingMessage, response: ServerResponse) => {
    void handler(message, response)
  }
  const server =
    tls === undefined
      ? createServer(onRequest)
      : createTlsServer({ key: tls.key, cert: tls.cert }, onRequest)
  // A stub never gives up on a client by itself: what ends a connection is a fault or the client.
  server.requestTimeout = 0
  server.headersTimeout = 0
  server.keepAliveTimeout = 0
  server.on('clientError', ({ rawPacket }: Error & { readonly rawPacket?: Buffer }, socket) => {
    if (rawPacket?.[0] === TLS_HANDSHAKE) socket.end(NO_TLS_HERE)
    else socket.destroy()
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', 4096, () => resolve(server))
  })
}

function urlOf(server: Server, { tls }: StubOptions): string {
  const { port } = server.address() as AddressInfo
  return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
}
