// HEAD by somebody who may be about to push: clients ask what they need not send, and give up on
// anything but 200 and 404. So they are told what is at the place that the push goes to, and not
// what this edge happens to have. Pulls of who may push ask as well, so what is here is given while
// the upstream gives no answer.
import { boundedCache } from '../../async/bounded-cache.ts'
import { LATE, within } from '../../async/within.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Namespace } from '../routing/namespaces.ts'
import type { Clock } from '../ports/clock.ts'
import { StoreError } from '../ports/store-error.ts'
import { type ReadOptions, UpstreamError } from '../ports/upstream.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'
import { mayServeStale, type MissingCode } from '../refusals/upstream-failure.ts'

export interface HeadCaller {
  readonly policies: RepositoryPolicies
  readonly clock: Clock
  readonly silent: SilentRepositories
  /** It has the right to push. Default false. */
  readonly mayPush: boolean | undefined
}

/**
 * Is what is asked for here the beginning of a push? Then only what is really there may be told of.
 */
export function isPushing(
  { policies, mayPush = false }: Pick<HeadCaller, 'policies' | 'mayPush'>,
  repository: Repository,
): boolean {
  return mayPush && policies.find(repository).push !== 'deny'
}

/**
 * And of one that goes to the upstream at once: what is here need not be there any more, or yet.
 */
export function isForwarding(caller: HeadCaller, repository: Repository): boolean {
  return isPushing(caller, repository) && caller.policies.find(repository).push === 'forward'
}

/**
 * How the upstream is asked: who pushes is not told what a mirror has; who may push has another
 * answer when nobody is there, and gets it at once.
 */
export function readOptions(caller: HeadCaller, repository: Repository): ReadOptions {
  if (caller.mayPush !== true) return {}
  return {
    endpoints: isPushing(caller, repository) ? 'registry' : 'all',
    retries: 'if responded',
  }
}

/** Longer than an old answer waits for a new one, which is the better one to give. */
const LONGEST_WAIT_MS = 6_000
/**
 * A push asks about each of its layers, one after another: where one got no answer a moment ago,
 * the others do not wait as long.
 */
const WAIT_AGAIN_MS = 1_000
const SILENT_FOR_MS = 30_000
/** More than are pushed to within half a minute. Where one is forgotten its push waits longer. */
const SILENT_MAX = 1_000

/**
 * Where a push waits in vain for the upstream, and since when. Each repository by itself: one name
 * that hangs says nothing of the others.
 */
export class SilentRepositories {
  readonly #since = boundedCache<{ namespace: Namespace; atMs: number }>(SILENT_MAX)

  /**
   * Monotonic; undefined: it is not known to be. A reload that asks another upstream begins anew.
   */
  sinceMs({ repository, namespace }: Place): number | undefined {
    const silence = this.#since.peek(repositoryKey(repository))
    return silence?.namespace === namespace ? silence.atMs : undefined
  }

  begin({ repository, namespace }: Place, atMs: number): void {
    this.#since.set(repositoryKey(repository), { namespace, atMs })
  }

  end({ repository }: Place): void {
    this.#since.delete(repositoryKey(repository))
  }
}

/** Of whom is asked. */
interface Place {
  readonly repository: Repository
  readonly namespace: Namespace
}

export interface AbsentState<Answer> extends Place {
  readonly missing: MissingCode
  /** Given where there is no answer. */
  readonly here?: Answer
  /** `ask` has an old answer to give, which takes its time. Default false. */
  readonly isPatient?: boolean
}

/**
 * Runs `ask`. When the upstream gave no answer: `here`, where there is that; else, for whoever may
 * push, that nothing is there, so that the push itself is begun and says how it stands: that it is
 * denied, and what to do; that it cannot go on to its upstream; or that it waits here until it can.
 * For who cannot push a 404 would be a lie.
 * @throws RegistryError; what `ask` throws
 */
export async function orAbsent<Answer>(
  caller: HeadCaller,
  state: AbsentState<Answer>,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const { repository, missing, here } = state
  try {
    return await (caller.mayPush === true ? inTime(caller, state, ask) : ask())
  } catch (error) {
    if (!(error instanceof UpstreamError) || error.failure === 'not-found') throw error
    if (here !== undefined && mayServeStale(error)) return here
    const isQueue =
      isPushing(caller, repository) && caller.policies.find(repository).push === 'queue'
    // Into a queue all goes that the upstream refuses today, too.
    if (caller.mayPush !== true || !(isQueue || error.failure === 'unavailable')) throw error
    const also = isQueue ? '; what is pushed waits here until it can' : ''
    throw new RegistryError(
      missing,
      `this is not here in ${repositoryKey(repository)}, and ${repository.registry} could not be asked${also}`,
      { cause: error },
    )
  }
}

/**
 * What who may push is told of what is here and the disk cannot read: clients give up on anything
 * but 200 and 404, and its push is what brings it back. Others are told that it cannot be had now.
 * Any other error comes back as it is.
 */
export function absentUnread(error: unknown, missing: MissingCode): unknown {
  if (!(error instanceof StoreError) || error.failure !== 'io') return error
  return new RegistryError(missing, 'the disk of this edge cannot read it: push it again', {
    cause: error,
  })
}

/**
 * @throws UpstreamError unavailable after LONGEST_WAIT_MS, or sooner; what `ask` throws. What was
 * asked goes on
 */
async function inTime<Answer>(
  caller: HeadCaller,
  state: AbsentState<Answer>,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const { clock, silent } = caller
  const { registry } = state.repository
  const sinceMs = silent.sinceMs(state) ?? Number.NEGATIVE_INFINITY
  const isSilent = clock.monotonicMs() - sinceMs < SILENT_FOR_MS
  // Who pulls by such a HEAD would not have what a slow line brings.
  const isShort = isSilent && isPushing(caller, state.repository) && state.isPatient !== true
  const asked = ask()
  asked.then(
    () => silent.end(state),
    () => {},
  )
  const answer = await within(clock, isShort ? WAIT_AGAIN_MS : LONGEST_WAIT_MS, asked)
  if (answer !== LATE) return answer
  // Only pushes ask about blobs. After a second nobody can tell who is silent from who is slow.
  if (state.missing === 'BLOB_UNKNOWN' && !isShort) silent.begin(state, clock.monotonicMs())
  throw new UpstreamError('unavailable', `${registry} is slow to answer`)
}
