// `pin` and `unpin`: what is to stay, and how much that is.
import { RegistryError } from '../../oci/errors.ts'
import { hostFrom, LOCALHOST } from '../../oci/reference.ts'
import { compileSelector, formatSelector, type Matcher, type Selector } from '../pins/selectors.ts'
import { allTags } from './list-images.ts'
import type { OperatorDeps } from './operator-deps.ts'
import { readTypedSelector } from './read-typed-selector.ts'

/** More are counted as so many. */
const HOLDERS_COUNTED = 1_000

export interface ListedPin {
  readonly pattern: string
  /** `configuration`: it stands under `pins`. */
  readonly from: 'configuration' | 'command'
  /** Tags that it is about now; of a digest, repositories that have it. */
  readonly matches: number
}

export interface ChangedPin {
  readonly pattern: string
  /** False: it was as it was to be. */
  readonly changed: boolean
  readonly matches: number
  /** The registry that it is about, where that is no upstream here, nor this edge. */
  readonly unknown?: string
}

export interface PinControl {
  list(): Promise<{ readonly pins: readonly ListedPin[] }>
  /** @throws RegistryError for what is no pattern */
  pin(text: string): Promise<ChangedPin>
  /** @throws RegistryError for what is not pinned by a command */
  unpin(text: string): Promise<ChangedPin>
}

type PinDeps = Pick<
  OperatorDeps,
  'pins' | 'catalog' | 'clock' | 'registry' | 'namespaces' | 'ownNameIn' | 'parseSelector'
>

export function createPinControl(deps: PinDeps): PinControl {
  const { pins } = deps
  return {
    async list() {
      const all = pins.list()
      const counts = await countMatches(
        deps,
        all.map(({ selector }) => compileSelector(selector)),
      )
      return {
        pins: all.map(({ selector, from }, index) => {
          return { pattern: formatSelector(selector), from, matches: counts[index] ?? 0 }
        }),
      }
    },
    async pin(text) {
      const selector = readTypedSelector(deps, text)
      const changed = await pins.pin(selector)
      const [matches = 0] = await countMatches(deps, [compileSelector(selector)])
      const unknown = matches === 0 ? unknownRegistry(deps, selector) : undefined
      const pinned = { pattern: formatSelector(selector), changed, matches }
      return unknown === undefined ? pinned : { ...pinned, unknown }
    },
    async unpin(text) {
      const selector = readTypedSelector(deps, text)
      const pattern = formatSelector(selector)
      const isConfigured = pins
        .list()
        .some(pin => pin.from === 'configuration' && formatSelector(pin.selector) === pattern)
      if (!(await pins.unpin(selector))) throw notPinned(pattern, isConfigured)
      const [matches = 0] = await countMatches(deps, [compileSelector(selector)])
      return { pattern, changed: true, matches }
    },
  }
}

/** Undefined for a pattern of hosts. */
function unknownRegistry({ namespaces }: PinDeps, selector: Selector): string | undefined {
  if (selector.kind === 'content') return undefined
  const [host = ''] = selector.repositories.split('/', 1)
  const registry = hostFrom(host)
  if (registry === undefined || registry === LOCALHOST) return undefined
  return namespaces.find(registry) === undefined ? host : undefined
}

function notPinned(pattern: string, isConfigured: boolean): RegistryError {
  const message = isConfigured
    ? `${pattern} stands under pins in the configuration: take it out there, and reload`
    : `${pattern} is not pinned; "entrepot pin --list" has what is`
  return new RegistryError('NAME_UNKNOWN', message)
}

/** In one look at all tags. */
async function countMatches(
  deps: Pick<OperatorDeps, 'catalog' | 'clock'>,
  matchers: readonly Matcher[],
): Promise<number[]> {
  const counts = matchers.map(() => 0)
  const count = (index: number, more: number) => (counts[index] = (counts[index] ?? 0) + more)
  const byTags: [number, Matcher][] = []
  for (const [index, matcher] of matchers.entries()) {
    const { selector } = matcher
    if (selector.kind === 'tags' || selector.kind === 'repositories') byTags.push([index, matcher])
    else {
      const holders = await deps.catalog.listRepositoriesOf(selector.digest, HOLDERS_COUNTED)
      count(index, holders.filter(key => matcher.isAbout(key)).length)
    }
  }
  if (byTags.length === 0) return counts
  for await (const { key, tag } of allTags(deps))
    for (const [index, matcher] of byTags)
      if (matcher.isAbout(key) && matcher.hasTag(tag.tag)) count(index, 1)
  return counts
}
