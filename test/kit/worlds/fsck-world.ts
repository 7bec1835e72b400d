// The command fsck over the directory of an edge, and what it has found.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Digest } from '../../../src/oci/digest.ts'
import type { RepositoryKey, Tag } from '../../../src/oci/reference.ts'
import type { DamageKind } from '../../../src/registry/fsck/damage.ts'
import type { FsckReport } from '../../../src/registry/fsck/report.ts'
import type { Mended } from '../../../src/registry/fsck/run-fsck.ts'
import { factName } from '../../../src/store/fact-text.ts'
import { runCli } from '../cli.ts'

export interface Fsck extends FsckReport {
  readonly exitCode: number
  readonly mended?: readonly Mended[]
  count(kind: DamageKind): number
  whats(kind: DamageKind): readonly string[]
  details(kind: DamageKind): readonly string[]
}

export interface FsckPlace {
  /** Of an edge, running or not. */
  readonly root: string
  /** Where docker.io is asked. Default: nobody answers. */
  readonly upstream?: string
  /** A configuration of its own. Default: one that is written beside the data. */
  readonly config?: string
}

/** A configuration for the command, beside the data. */
export function configured({ root, upstream = 'http://127.0.0.1:9' }: FsckPlace): string {
  const file = join(dirname(root), 'fsck.json')
  const document = {
    storage: { rootdirectory: root },
    admin: { socket: join(dirname(root), 'admin.sock') },
    upstreams: { 'docker.io': { url: upstream, http: true } },
  }
  writeFileSync(file, JSON.stringify(document))
  return file
}

/** With --json. @throws what stood on standard error where nothing was found out */
export async function fsck(place: FsckPlace, ...options: string[]): Promise<Fsck> {
  const config = place.config ?? configured(place)
  const argv = ['fsck', '--json', '--config', config, ...options]
  const { exitCode, stdout, stderr } = await runCli(argv)
  if (stdout === '') throw new Error(stderr)
  const report = JSON.parse(stdout) as FsckReport
  const found = (kind: DamageKind) => report.found.find(each => each.kind === kind)
  return {
    exitCode,
    ...report,
    count: kind => found(kind)?.count ?? 0,
    whats: kind => found(kind)?.damages.map(({ what }) => what) ?? [],
    details: kind => found(kind)?.damages.map(({ detail }) => detail) ?? [],
  }
}

export function tagFact(root: string, key: string, tag: string): string {
  const repository = key as RepositoryKey
  return join(root, 'facts', factName({ kind: 'tag', repository, tag: tag as Tag }))
}

export function manifestFact(root: string, key: string, digest: Digest): string {
  const repository = key as RepositoryKey
  return join(root, 'facts', factName({ kind: 'manifest', repository, digest }))
}
