// Upstream lies drawn from a seed, and one client that is told them: what was asked, what was
// wrong, and whether the answer that came was a complete wrong one. Used against the product and
// against the careless cache that must be caught.
import { createHash } from 'node:crypto'
import { type Content, patternBlob } from '../content.ts'
import { type Image, makeImage } from '../image.ts'
import { get } from '../clients/raw-client.ts'
import type { Random } from '../seeded.ts'
import type { Fault } from './stub-faults.ts'
import type { StubRegistry } from './stub-registry.ts'

export const LIE_KINDS = [
  'truncation',
  'flip',
  'wrong length',
  'wrong digest',
  'wrong part',
] as const
export type LieKind = (typeof LIE_KINDS)[number]

export interface Lie {
  readonly kind: LieKind
  readonly about: 'blob' | 'manifest'
  readonly repository: string
  readonly image: Image
  /** What is asked for. */
  readonly target: Content
  readonly fault: Fault
  /** How often it strikes. */
  readonly times: number
  /** The manifest is pulled first, so that the blob's size is known. */
  readonly announced: boolean
}

/** Sizes at which implementations change their minds: around 64 KiB and 1 MiB; mostly small. */
const SMALL_SIZES = [16, 100, 4096, 65_535, 65_536, 65_537, 300_000, 1_048_576, 1_048_577] as const
const LARGE_SIZES = [5_000_000, 16_777_216, 67_108_864] as const
/**
 * Nothing and one byte, by the lie's number: once each, since there are too few such blobs for
 * every lie to have its own.
 */
const TINY_SIZES: Readonly<Record<number, number>> = { 0: 1, 2: 0 }
/** Large enough to be asked for by parts, at any speed, once a manifest has told the length. */
const PARTED_SIZES = [12_000_000, 17_000_001] as const
/** One lie in so many is about a large blob: the bytes of a run are mostly theirs. */
const LARGE_ONE_IN = 40

/** Lie number `index`; kinds take turns, so that each has its share. */
export function drawLie(random: Random, index: number): Lie {
  const kind = LIE_KINDS[index % LIE_KINDS.length] ?? 'flip'
  const tiny = TINY_SIZES[index]
  const isParted = kind === 'wrong part'
  const about = tiny === undefined && !isParted && random.oneIn(3) ? 'manifest' : 'blob'
  const sizeBytes = isParted ? random.pick(PARTED_SIZES) : (tiny ?? drawSize(random))
  const image = makeImage({ seed: `lie-${index}`, layers: [sizeBytes] })
  const target = about === 'blob' ? patternBlob(`lie-${index}/0`, sizeBytes) : documentOf(image)
  return {
    kind,
    about,
    repository: `library/lie-${index}`,
    image,
    target,
    fault: drawFault(random, kind, target),
    times: random.between(1, 2),
    announced: isParted || random.oneIn(2),
  }
}

function documentOf({ manifest: { digest, bytes } }: Image): Content {
  return {
    digest,
    sizeBytes: bytes.length,
    read: (offset, lengthBytes) => Buffer.from(bytes.subarray(offset, offset + lengthBytes)),
    bytes: () => bytes,
  }
}

function drawSize(random: Random): number {
  return random.oneIn(LARGE_ONE_IN) ? random.pick(LARGE_SIZES) : random.pick(SMALL_SIZES)
}

function drawFault(random: Random, kind: LieKind, { sizeBytes }: Content): Fault {
  const inside = random.below(Math.max(1, sizeBytes))
  switch (kind) {
    case 'truncation':
      return random.pick<Fault>([
        { truncateAt: inside },
        { resetAt: inside },
        { chunked: true, truncateAt: inside },
        { untilClose: true, truncateAt: inside },
      ])
    case 'wrong part': {
      const delta = random.pick([1, 7, 4096])
      // Inside of any first part.
      const early = random.below(1_000_000)
      return random.pick<Fault>([
        { rangeDelta: delta },
        { rangeDelta: delta, chunked: true },
        { ignoreRange: true, flipAt: inside },
        { flipAt: early },
        { truncateAt: early },
        { resetAt: early },
        { lengthDelta: delta },
        { lengthDelta: -delta },
        { extraBytes: delta },
        { missingBytes: delta },
        { missingBytes: delta, chunked: true },
      ])
    }
    case 'flip':
      return random.pick<Fault>([{ flipAt: inside }, { flipAt: inside, chunked: true }])
    case 'wrong length': {
      const delta = random.pick([1, 7, 4096])
      return random.pick<Fault>([
        { lengthDelta: delta },
        { lengthDelta: -Math.min(delta, sizeBytes) },
        { extraBytes: delta },
        { extraBytes: delta, chunked: true },
        { missingBytes: Math.min(delta, sizeBytes) },
        { missingBytes: Math.min(delta, sizeBytes), chunked: true },
      ])
    }
    case 'wrong digest':
      return random.pick<Fault>([
        { digestHeader: `sha256:${'0'.repeat(64)}` },
        // Other bytes of the same length.
        { body: patternBlob(`other-${inside}`, sizeBytes).bytes() },
        { body: Buffer.alloc(sizeBytes), digestHeader: null },
      ])
  }
}

export interface Heard {
  readonly status: number
  readonly complete: boolean
  /** Neither an end nor a failure within ANSWER_MAX_MS. */
  readonly hung: boolean
}

export interface Told {
  /** How often the fault struck; 0 would make the test say nothing. */
  readonly struck: number
  /** Status and completeness of each answer: under the lie, and after it. */
  readonly answers: readonly Heard[]
  /** Answers that were whole by their own account and not the bytes of the digest. */
  readonly wrong: number
}

export interface Listener {
  readonly stub: StubRegistry
  /** The cache's repositories are below this. */
  readonly url: string
  /** Resolves when a cache that failed under the lie is done with it; default at once. */
  readonly recovered?: (lie: Lie) => Promise<unknown>
}

/** Puts the image into the stub, tells the lie through the cache, and asks once more without it. */
export async function tellLie({ stub, url, recovered }: Listener, lie: Lie): Promise<Told> {
  const { repository, image, target, about, fault, times } = lie
  stub.addImage(repository, 'v1', image)
  const base = `${url}/${repository}`
  const path = `${base}/${about}s/${target.digest}`
  const handle = stub.fault({ repository, kind: about, digest: target.digest }, fault, { times })
  // After the fault: with the manifest a cache may begin to fetch the blob.
  if (lie.announced && about === 'blob') await get(`${base}/manifests/${image.manifest.digest}`)
  const first = await ask(path, target.digest)
  handle.remove()
  if (first.status !== 200 || !first.complete) await recovered?.(lie)
  const answers = [first]
  answers.push(await ask(path, target.digest))
  return { struck: handle.hits, answers, wrong: answers.filter(answer => answer.wrong).length }
}

/**
 * An answer that never ends would hang the suite instead of failing it. Longer than all retries
 * towards an upstream together.
 */
const ANSWER_MAX_MS = 60_000

async function ask(url: string, digest: string) {
  const hash = createHash('sha256')
  const signal = AbortSignal.timeout(ANSWER_MAX_MS)
  const { status, complete } = await get(
    url,
    { accept: '*/*' },
    {
      signal,
      onBytes: piece => {
        hash.update(piece)
      },
    },
  )
  const wrong = status === 200 && complete && `sha256:${hash.digest('hex')}` !== digest
  return { status, complete, wrong, hung: signal.aborted }
}
