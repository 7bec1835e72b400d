// The second host of a stub: an object store to which a registry redirects, with signed URLs bound
// to a method and a life (R145, R146). Also the redirects inside the registry itself: chains,
// loops, other paths.
import { randomUUID } from 'node:crypto'
import type { Redirect } from './stub-faults.ts'
import type { StorageBehaviour } from './stub-profiles.ts'
import type { StubRequest } from './stub-requests.ts'
import { type Answer, bufferBody } from './stub-sending.ts'

interface Signed {
  readonly method: string
  readonly repository: string
  readonly kind: 'blob' | 'manifest'
  readonly reference: string
  expired: boolean
}

export function createStorage(
  behaviour: StorageBehaviour,
  urls: { registry: () => string; storage: () => string },
) {
  const signatures = new Map<string, Signed>()

  /** A URL on the second host, good for this method. */
  function sign(request: StubRequest, expired = false): string {
    const signature = randomUUID()
    const { method, repository, reference, kind } = request
    const signed = kind === 'manifest' ? kind : 'blob'
    signatures.set(signature, { method, repository, reference, kind: signed, expired })
    return `${urls.storage()}/bucket/${repository}/${signed}s/${reference}?X-Amz-Signature=${signature}`
  }

  function redirectTo(request: StubRequest, redirect: Redirect): string {
    const { to = 'storage' } = redirect
    const own = `${urls.registry()}${request.path}`
    if (to === 'storage') return sign(request, redirect.expired)
    if (to === 'loop') return own
    if (to === 'self') return `${own}?hop=last`
    return to === 0 ? sign(request, redirect.expired) : `${own}?hop=${to}`
  }

  /** Signed URLs and Authorization do not go together. */
  function refuse({ headers }: StubRequest): Answer | undefined {
    return behaviour.refusesAuthorization && headers.authorization !== undefined
      ? refusal(400, 'InvalidArgument: Only one auth mechanism allowed')
      : undefined
  }

  return {
    refuse,
    redirect(request: StubRequest, redirect: Redirect): Answer {
      const location = redirectTo(request, redirect)
      return { status: redirect.status ?? 307, headers: { location }, body: bufferBody('') }
    },
    /** What the signature in the URL stands for, or the refusal. */
    open(request: StubRequest): Signed | Answer {
      const signature = new URLSearchParams(request.query).get('X-Amz-Signature') ?? ''
      const signed = signatures.get(signature)
      if (signed === undefined) return refusal(403, 'SignatureDoesNotMatch')
      const refused = refuse(request)
      if (refused !== undefined) return refused
      if (signed.expired) return refusal(403, 'AccessDenied: Request has expired')
      if (behaviour.refusesHead && signed.method !== request.method) {
        return refusal(403, 'SignatureDoesNotMatch')
      }
      if (behaviour.refusesHead && request.method === 'HEAD') return refusal(403, 'AccessDenied')
      if (behaviour.refusesMultiRange && (request.headers.range ?? '').includes(',')) {
        return refusal(400, 'InvalidRange')
      }
      return signed
    },
    /** All URLs signed so far are too old from now on. */
    expireSignatures: (): void => {
      for (const signed of signatures.values()) signed.expired = true
    },
  }
}

function refusal(status: number, code: string): Answer {
  return {
    status,
    headers: { 'content-type': 'application/xml' },
    body: bufferBody(`<Error><Code>${code}</Code></Error>`),
  }
}
