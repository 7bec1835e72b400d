// `storage.retention` → the rules as they are judged (registry/retain/), and what cannot be meant:
// a policy or a line that is never reached, a pattern that matches nothing or nothing that is kept,
// and what contradicts itself.
import type { RetentionConfig } from '../config.ts'
import { hostsOfPattern, type KnownNames, nothingMatched } from './build-repositories.ts'
import type { Path } from '../findings.ts'
import { covers, coversTag } from '../formats/globs.ts'
import type { Judge } from '../judge.ts'
import { named } from '../schema/keys.ts'
import { KEEP_LINE_KEYS, POLICY_KEYS, RETENTION_KEYS } from '../schema/retention-schema.ts'
import { LOCALHOST } from '../../oci/reference.ts'
import type { Settings } from '../schema/schema.ts'

type PolicySettings = Settings['storage']['retention']['policies'][number]
type LineSettings = PolicySettings['keeptags'][number]

export function buildRetention(
  judge: Judge,
  settings: Settings,
  known: KnownNames,
): RetentionConfig {
  const { retention } = settings.storage
  const at = ['storage', 'retention', 'policies']
  const isStored = (pattern: string) => mayStore(pattern, settings, known)
  for (const [index, policy] of retention.policies.entries()) {
    const path = [...at, index]
    checkPatterns(judge, path, { policy, known, isStored })
    noteUnreached(judge, path, { policies: retention.policies, index })
    checkLines(judge, path, policy)
    if (policy.deleteuntagged && retention.delay === Number.POSITIVE_INFINITY) {
      const message = 'nothing untagged ever goes: storage.retention.delay is forever'
      judge.note([...path, 'deleteuntagged'], { severity: 'warning', message, suggestion: 'false' })
    }
  }
  const policies = retention.policies.map(policy => {
    const { keeptags, ...rest } = named(POLICY_KEYS, policy)
    return { ...rest, keepTags: keeptags.map(line => named(KEEP_LINE_KEYS, line)) }
  })
  return { ...named(RETENTION_KEYS, retention), policies }
}

interface PolicyParts {
  readonly policy: PolicySettings
  readonly known: KnownNames
  readonly isStored: (pattern: string) => boolean
}

function checkPatterns(judge: Judge, path: Path, { policy, known, isStored }: PolicyParts): void {
  const { repositories } = policy
  if (repositories.length === 0 && !judge.isWritten([...path, 'repositories', 0])) {
    const message = 'is empty or missing: a policy names the repositories that it is about'
    judge.note([...path, 'repositories'], { message, suggestion: '["localhost/**"]' })
  }
  for (const [index, pattern] of repositories.entries()) {
    const at = [...path, 'repositories', index]
    const kept = { ...known, defaultRegistry: LOCALHOST }
    const nothing = nothingMatched(pattern, kept)
    if (nothing !== undefined) judge.note(at, nothing)
    else if (!isStored(pattern)) {
      const message =
        'is only about what upstreams have: retention is for what is kept here with push: store'
      judge.note(at, { severity: 'warning', message })
    }
  }
}

/** May anything be kept for good where the pattern matches, by any rule of `repositories`? */
function mayStore(pattern: string, { repositories }: Settings, known: KnownNames): boolean {
  const hosts = hostsOfPattern(pattern, known)
  if (hosts === undefined || hosts.includes(LOCALHOST)) return true
  return repositories.some(({ match, push }) => {
    if (push !== 'store') return false
    const stored = hostsOfPattern(match, known)
    return stored === undefined || stored.some(host => hosts.includes(host))
  })
}

function noteUnreached(
  judge: Judge,
  path: Path,
  { policies, index }: { policies: readonly PolicySettings[]; index: number },
): void {
  for (const [at, pattern] of policies[index]?.repositories.entries() ?? []) {
    const earlier = policies
      .slice(0, index)
      .findIndex(({ repositories }) => repositories.some(each => covers(each, pattern)))
    if (earlier === -1) continue
    const before = judge.indexAsWritten(path.slice(0, -1), earlier)
    const message = `is never reached: policies[${before}] matches all of it; put the narrower one first`
    judge.note([...path, 'repositories', at], { severity: 'warning', message })
  }
}

function checkLines(judge: Judge, path: Path, { keeptags }: PolicySettings): void {
  // A condition that could not be read was told, and holds nothing.
  const isBare = (index: number) =>
    Object.keys(KEEP_LINE_KEYS).every(
      key => key === 'patterns' || !judge.isWritten([...path, 'keeptags', index, key]),
    )
  const keepsAll = (earlier: number, later: number) =>
    isAbout(keeptags[earlier], keeptags[later]) && (isBare(earlier) || isForever(keeptags[earlier]))
  for (const [index, { patterns }] of keeptags.entries()) {
    noteMisread(judge, [...path, 'keeptags', index, 'patterns'], patterns)
    const other = keeptags.findIndex((_, at) => at !== index && keepsAll(at, index))
    // Two lines that are alike cover each other: one is told.
    if (other === -1 || (other > index && keepsAll(index, other))) continue
    const keeping = judge.indexAsWritten([...path, 'keeptags'], other)
    const message = `changes nothing: keeptags[${keeping}] keeps all of these tags, whatever else holds`
    judge.note([...path, 'keeptags', index], { severity: 'warning', message })
  }
}

/** What means more elsewhere: of a policy that was copied from there nearly all tags would go. */
const MAYBE_REGULAR = /(?<=[a-zA-Z_-])\.\*/

function noteMisread(judge: Judge, path: Path, patterns: readonly string[]): void {
  for (const [index, pattern] of patterns.entries()) {
    if (!MAYBE_REGULAR.test(pattern)) continue
    judge.note([...path, index], {
      severity: 'warning',
      message: 'wants a dot, unlike in regular expressions: * stands for any characters here',
      suggestion: pattern.replace(MAYBE_REGULAR, '*'),
    })
  }
}

function isForever(line: LineSettings | undefined): boolean {
  return [line?.pushedwithin, line?.pulledwithin].includes(Number.POSITIVE_INFINITY)
}

/** Is a line about every tag that the other one is about? */
function isAbout(line: LineSettings | undefined, other: LineSettings | undefined): boolean {
  if (line === undefined || other === undefined) return false
  if (line.patterns.length === 0) return true
  const globs = other.patterns.length === 0 ? ['*'] : other.patterns
  return globs.every(glob => line.patterns.some(each => coversTag(each, glob)))
}
