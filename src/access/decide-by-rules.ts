// What the operator's rules say to a request, as a decision. What may not be pulled is hidden: it
// is told to be absent, in the same words whether it is there or not. A write is refused openly,
// which says nothing either, since it hangs on names alone.
import { repositoryKey } from '../oci/reference.ts'
import type { AccessRequest, Decision } from './access.ts'
import type { Asker, Rulebook } from './rulebook.ts'
import type { Verdict } from './verdict.ts'

/** Who was not met is none of this machine's programs. */
export function asMet(asker: Asker): Asker {
  const { address, account, certificate } = asker
  return { address, account, certificate, isLocal: () => asker.isLocal() ?? false }
}

/** Of whoever was met. */
export function decideByRules(book: Rulebook, asker: Asker, request: AccessRequest): Decision {
  const { resource, action, moves } = request
  const party = book.partyOf(asMet(asker))
  if (resource === 'catalog') {
    if (party?.mayListAnywhere() === true) return { kind: 'allowed', anonymously: false }
    return { kind: 'denied', reason: NO_LISTS, by: 'no access rule allows list' }
  }
  const key = resource === 'unrouted' ? undefined : repositoryKey(resource)
  const verdict = party?.judge({ key, action, moves }) ?? NONE
  // To who may push it alone the time that it takes would tell that others ask for it.
  const isPull = action === 'pull'
  if (verdict.isAllowed)
    return { kind: 'allowed', anonymously: isPull && key !== undefined && book.isPublic(key) }
  const by = deciding(verdict)
  if (action === 'pull' || action === 'list') return { kind: 'hidden', by }
  return { kind: 'denied', reason: WRITES[action], by }
}

const NONE: Verdict = { isAllowed: false, rule: undefined }

/** As people find it in the configuration. */
function deciding({ rule }: Verdict): string {
  return rule === undefined ? 'no access rule is about it' : `access[${rule}]`
}

const ASK =
  'whoever runs this registry can say why, with "entrepot access test", and allow it, under access in its configuration'
const NO_LISTS = `the access rules of this registry do not show its catalog to this client: ${ASK}`
const WRITES = {
  push: `the access rules of this registry do not let this client push this here: ${ASK}`,
  delete: `the access rules of this registry do not let this client delete this here: ${ASK}`,
} as const
