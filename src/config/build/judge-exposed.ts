// Upstreams that are read with what is not everybody's, and that everybody may read through this
// edge, without a word about it: whoever gave it the credentials may have meant something else.
import type { AccessRule } from '../../access/rule.ts'
import { isLoopback } from '../addresses.ts'
import type { Config, UpstreamConfig } from '../config.ts'
import { canonicalHost, checkedHost } from '../built-in.ts'
import { covers } from '../formats/globs.ts'
import type { Judge } from '../judge.ts'

type Exposed = Pick<Config, 'access' | 'auth' | 'upstreams' | 'http'>

/** Notes a warning for each, with the way out, which is also the way to say that it is meant. */
export function judgeExposed(judge: Judge, keys: readonly string[], config: Exposed): void {
  // Nobody reaches it but from the machine, and through no proxy on it.
  if (isLoopback(config.http.addr) && config.http.trustedProxies.length === 0) return
  for (const key of keys) {
    const host = checkedHost(key)
    const registry = host && canonicalHost(host)
    const upstream = config.upstreams.find(each => each.registry === registry)
    const what = upstream && notForAll(upstream)
    if (what === undefined || upstream === undefined) continue
    const isAsked = config.access.length === 0 && config.auth !== undefined
    if (isAsked || !isForAll(config.access, upstream.registry)) continue
    const rule = `{ who: "net:10.0.0.0/8", match: "${upstream.registry}/**", allow: [pull] }`
    const message = `is read with ${what}, and whoever reaches this edge may pull all of it: say who may, by rules of access for ${upstream.registry}/**, also where it is everybody (who: "*"); the first may be ${rule}`
    judge.note(['upstreams', key], { severity: 'warning', message })
  }
}

function notForAll(upstream: UpstreamConfig): string | undefined {
  const { credentials, client, downloads, names } = upstream
  // Somebody has thought of what is seen through this edge.
  if (!names.include.includes('**')) return undefined
  if (credentials.kind !== 'anonymous') return 'credentials'
  if (client !== undefined) return 'a client certificate'
  return downloads.private ? 'private: true' : undefined
}

/** May everybody pull all of it, by no rule that is about this registry? */
function isForAll(rules: readonly AccessRule[], registry: string): boolean {
  if (rules.length === 0) return true
  const all = `${registry}/**`
  for (const { who, match, tags, allow } of rules) {
    const isEverybody = who.kind === 'everybody' || who.kind === 'anonymous'
    if (tags.length > 0 || !covers(match, all)) continue
    if (match.startsWith(`${registry}/`)) return false
    if (isEverybody) return allow.includes('pull')
  }
  return false
}
