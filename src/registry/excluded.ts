// Names that the operator keeps out (`include`, `exclude`): they lead nowhere, whoever asks for
// what, and whatever of them is here (R254).
import picomatch from 'picomatch'
import { NAME_GLOB, type NamePatterns } from '../oci/name-glob.ts'
import type { RegistryHost, RepositoryName } from '../oci/reference.ts'

/** `any`: for registries that only a client names. */
export interface NamesOptions {
  readonly byRegistry: ReadonlyMap<RegistryHost, NamePatterns>
  readonly any: NamePatterns | undefined
}

export type IsExcluded = (registry: RegistryHost, name: RepositoryName) => boolean

export function compileExcluded({ byRegistry, any }: NamesOptions): IsExcluded {
  const compiled = new Map([...byRegistry].map(([registry, each]) => [registry, compile(each)]))
  const others = any === undefined ? () => false : compile(any)
  return (registry, name) => (compiled.get(registry) ?? others)(name)
}

function compile({ include, exclude }: NamePatterns): (name: RepositoryName) => boolean {
  const isIncluded = include.length === 0 ? () => true : picomatch([...include], NAME_GLOB)
  const isExcluded = exclude.length === 0 ? () => false : picomatch([...exclude], NAME_GLOB)
  return name => !isIncluded(name) || isExcluded(name)
}
