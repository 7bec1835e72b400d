// Who may do what, asked before any look-up that could reveal whether something exists (appendix of error precedence: 403
// before 404). Until there are accounts everybody may pull and list, and programs of this machine may push and delete;
// accounts and rules come in behind this one function.
import type { Repository } from '../oci/reference.ts'
import { whyNoLocalProgram } from './local-program.ts'

/** Who asks. `anonymous` is whoever showed no credentials; the rest is what tells a program on this machine from others. */
export interface Principal {
  readonly kind: 'anonymous'
  /** The peer's address as the socket has it; undefined when the connection is gone. */
  readonly address: string | undefined
  /** The `Host` header. */
  readonly host: string | undefined
  /** What says that somebody passed the request on: the name of a header such as `Forwarded`, `X-Forwarded-For`, `Via`, or `HTTP/1.0`. */
  readonly forwardedBy: string | undefined
  /** The request was made by a web page: it has an `Origin`, or a `Sec-Fetch-Site` other than `none`. */
  readonly fromWebPage: boolean
}

/** `list` reads the catalog of repositories; `pull` everything else that is read; `push` uploads and manifests; `delete` deletes. */
export type Action = 'pull' | 'list' | 'push' | 'delete'

export interface AccessRequest {
  readonly principal: Principal
  /** `unrouted`: the name leads to no configured registry; asked all the same, so that a refusal hides that too (R178). */
  readonly resource: Repository | 'catalog' | 'unrouted'
  readonly action: Action
}

/**
 * `anonymously`: readable without credentials too, so that a shared cache in front may keep it (R11). `reason` is for the client: which
 * rule it was, and what to do.
 */
export type Decision =
  | { readonly kind: 'allowed'; readonly anonymously: boolean }
  | { readonly kind: 'denied'; readonly reason: string }

export interface Access {
  /** MUST NOT ask the network; MUST NOT depend on whether the content exists. */
  decide(request: AccessRequest): Decision
  /**
   * A short text that is the same for principals of whom the same is decided, whatever they ask for. Only a reload of the configuration
   * may decide anew for a class.
   */
  classOf(principal: Principal): string
}

/** Everybody may pull and list; push and delete only who is plainly a program on this machine. */
export function createLocalAccess(): Access {
  const allowed: Decision = { kind: 'allowed', anonymously: true }
  return {
    decide({ principal, action }) {
      if (action === 'pull' || action === 'list') return allowed
      const reason = whyNoLocalProgram(principal)
      return reason === undefined
        ? allowed
        : { kind: 'denied', reason: `${RULES[action]}: ${reason}` }
    },
    classOf: principal =>
      whyNoLocalProgram(principal) === undefined ? 'local program' : 'somebody',
  }
}

const RULES = {
  push: 'until this registry has accounts it takes pushes only from programs on its own machine',
  delete: 'until this registry has accounts it deletes only for programs on its own machine',
} as const
