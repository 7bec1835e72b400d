// Entrepot without one of the things that are there to make it faster, for the question what each
// of them earns. The product has no switches for them: what is measured is a copy of this checkout
// in which one constant has another value, built like the product; or a key of the configuration,
// where there is one.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { entrepot, startEntrepot } from './servers/entrepot.ts'
import type { ServerKind, ServerOptions } from './servers/kind.ts'

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))
/** All that a build reads, and what the program needs beside it. */
const COPIED = ['src', 'scripts', 'native', 'config', 'package.json', 'package-lock.json']
const LINKED = ['node_modules', 'tsconfig.json']

/** A constant of the product and what it is instead, as program text. */
export interface Change {
  /** From the root of the repository. */
  readonly file: string
  readonly constant: string
  readonly value: string
}

interface Ablation {
  readonly name: string
  readonly changes: readonly Change[]
  /** Keys of the upstream. */
  readonly upstream?: ServerOptions['upstream']
}

const NO_RANGES: Change = {
  file: 'src/registry/fill/download.ts',
  constant: 'RANGED_FROM_BYTES',
  value: 'Number.POSITIVE_INFINITY',
}

export const WITHOUT_RANGES: Ablation = { name: 'without ranges', changes: [NO_RANGES] }
export const WITHOUT_PREFETCH: Ablation = {
  name: 'without prefetch',
  changes: [],
  upstream: { prefetch: false },
}
export const WITHOUT_BOTH: Ablation = {
  name: 'without ranges and prefetch',
  changes: [NO_RANGES],
  upstream: { prefetch: false },
}
export const WITHOUT_WARM_SOCKETS: Ablation = {
  name: 'without warm sockets',
  changes: [{ file: 'src/upstream/connect/warm-sockets.ts', constant: 'SOCKETS_MAX', value: '0' }],
}
export const WITHOUT_FIRST_REQUEST: Ablation = {
  name: 'without waiting for the first request',
  changes: [
    { file: 'src/upstream/auth/first-request.ts', constant: 'LONGEST_WAIT_MS', value: '0' },
  ],
}
export const WITHOUT_EXPECTED_CHALLENGES: Ablation = {
  name: 'without expected challenges',
  changes: [
    // Matches no scope, so nothing is expected of any.
    { file: 'src/upstream/auth/challenges.ts', constant: 'PULL_SCOPE', value: '/(?!)/' },
  ],
}
export const WITHOUT_OPEN_FILES: Ablation = {
  name: 'without files kept open',
  changes: [
    {
      file: 'src/registry/reading/open-blobs.ts',
      constant: 'OPEN_LEAST_BYTES',
      value: 'Number.POSITIVE_INFINITY',
    },
  ],
}
export const ABLATIONS: readonly Ablation[] = [
  WITHOUT_RANGES,
  WITHOUT_PREFETCH,
  WITHOUT_BOTH,
  WITHOUT_WARM_SOCKETS,
  WITHOUT_FIRST_REQUEST,
  WITHOUT_EXPECTED_CHALLENGES,
  WITHOUT_OPEN_FILES,
]

/** As a server to be measured. A copy is built below `directory` when it is first started. */
export function ablated({ name, changes, upstream }: Ablation, directory: string): ServerKind {
  let checkout: string | undefined
  return {
    name,
    start: options => {
      const own = { ...options, upstream: { ...options.upstream, ...upstream } }
      if (changes.length === 0) return entrepot.start(own)
      checkout ??= buildWith(changes, join(directory, name.replaceAll(' ', '-')))
      return startEntrepot(checkout, own)
    },
  }
}

/** @throws Error when a constant is not there any more, or the copy does not build */
function buildWith(changes: readonly Change[], copy: string): string {
  mkdirSync(copy, { recursive: true })
  for (const path of COPIED) cpSync(join(CHECKOUT, path), join(copy, path), COPY_OPTIONS)
  for (const path of LINKED) symlinkSync(join(CHECKOUT, path), join(copy, path))
  for (const change of changes) {
    const file = join(copy, change.file)
    writeFileSync(file, changed(readFileSync(file, 'utf8'), change))
  }
  const build = spawnSync(process.execPath, [join(copy, 'scripts', 'build.mjs')], {
    stdio: 'inherit',
  })
  if (build.status !== 0) throw new Error(`the copy ${dirname(copy)} does not compile`)
  return copy
}

/** With their times, by which the build knows that what is compiled is up to date. */
const COPY_OPTIONS = { recursive: true, preserveTimestamps: true } as const

/** The text of the file with another value. @throws Error unless the constant is there once */
export function changed(text: string, { file, constant, value }: Change): string {
  const declaration = new RegExp(`^((?:export )?const ${constant} = )(?:.*)$`, 'gm')
  const found = text.match(declaration)?.length ?? 0
  if (found !== 1) throw new Error(`${file} declares ${constant} ${found} times on a line`)
  return text.replace(declaration, (_, before: string) => `${before}${value}`)
}
