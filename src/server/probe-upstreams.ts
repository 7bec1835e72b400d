// Whether the upstreams of a configuration answer, for `entrepot check --online`: a part of the
// composition, without the rest of it.
import type { Config } from '../config/config.ts'
import { parseName, parseTag, type RegistryHost } from '../oci/reference.ts'
import { type Upstream, UpstreamError } from '../registry/ports/upstream.ts'
import { Upstreams, type UpstreamsDeps } from './upstreams.ts'

export interface Probe {
  readonly registry: RegistryHost
  readonly answers: boolean
  /** Nothing that needs them can be pulled, and often nothing at all. */
  readonly refusesCredentials: boolean
  readonly detail: string
}

/**
 * A name that no registry has: a HEAD on it costs nothing, and the refusal shows that a registry
 * answered.
 */
const PROBE_NAME = parseName('entrepot/probe')
const PROBE_REFERENCE = { kind: 'tag', tag: parseTag('probe') } as const

/** Asks every configured upstream once, all at the same time. Never rejects. */
export async function probeUpstreams(
  config: Config,
  deps: UpstreamsDeps,
): Promise<readonly Probe[]> {
  const upstreams = new Upstreams(config, deps)
  try {
    return await Promise.all(upstreams.list().map(({ upstream }) => probe(upstream)))
  } finally {
    await upstreams.close()
  }
}

async function probe(upstream: Upstream): Promise<Probe> {
  const answer = await ask(upstream)
  const refusesCredentials = upstream.health().credentials === 'refused'
  const detail = refusesCredentials ? WRONG_CREDENTIALS : answer.detail
  return { registry: upstream.registry, ...answer, refusesCredentials, detail }
}

const WRONG_CREDENTIALS =
  'answers, and refuses the credentials that are configured for it: correct them, or take them out'

async function ask(upstream: Upstream): Promise<Pick<Probe, 'answers' | 'detail'>> {
  try {
    await upstream.headManifest(PROBE_NAME, PROBE_REFERENCE)
    return { answers: true, detail: 'answers' }
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    if (error.failure === 'not-found' || error.failure === 'unsupported')
      return { answers: true, detail: 'answers' }
    if (error.failure === 'denied') {
      return {
        answers: true,
        detail: 'answers; shows nothing of what it does not have to whoever asks like this',
      }
    }
    const hint = error.hint === undefined ? '' : `; ${error.hint}`
    return { answers: false, detail: `${error.message}${hint}` }
  }
}
