// What is imported, as it was given: files, volumes in any order and from any place, directories.
// Volumes are looked at before anything is sent, so that what is wrong with one is told by its
// name.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { readSums, type Volume } from '../bundle/sums.ts'
import { BundleFault } from '../bundle/tar-pieces.ts'
import { CliError, EXIT_CODES } from './context.ts'
import { sumOf } from './volumes.ts'

export interface GivenArchive {
  /** As people call it. */
  readonly label: string
  /** Put together in this order they are the archive; `-` or a directory stands alone. */
  readonly files: readonly string[]
}

const PART = /^(.+)\.(\d{3}|sums)$/
const FIRST = '001'

/** In the order in which they were given. @throws CliError that names what is missing or wrong */
export async function givenArchives(paths: readonly string[]): Promise<readonly GivenArchive[]> {
  const archives: (GivenArchive | string)[] = []
  const parts = new Map<string, string[]>()
  for (const path of paths) {
    const stem = PART.exec(basename(path))?.[1]
    if (stem === undefined && (path === '-' || existsSync(path)))
      archives.push({ label: path, files: [path] })
    else {
      const name = stem ?? basename(path)
      const of = parts.get(name) ?? []
      if (of.length === 0) archives.push(name)
      const part = stem === undefined ? firstOf(path) : path
      requireOne(part, of)
      parts.set(name, [...of, part])
    }
  }
  const whole: GivenArchive[] = []
  for (const each of archives)
    whole.push(typeof each === 'string' ? await volumesOf(each, parts.get(each) ?? []) : each)
  return whole
}

/** Volumes of one bundle may lie in several places; two of one name are of two bundles. */
function requireOne(part: string, others: readonly string[]): void {
  const other = others.find(each => basename(each) === basename(part) && each !== part)
  if (other === undefined) return
  throw new CliError(
    EXIT_CODES.failed,
    `${other} and ${part} have one name: import the bundles one after the other`,
  )
}

function firstOf(path: string): string {
  const first = `${path}.${FIRST}`
  if (existsSync(first)) return first
  throw new CliError(EXIT_CODES.failed, `there is no ${path}, and no ${first}`)
}

async function volumesOf(stem: string, parts: readonly string[]): Promise<GivenArchive> {
  const places = [...new Set(parts.map(dirname))]
  const find = (name: string) =>
    parts.find(part => basename(part) === name && existsSync(part)) ??
    places.map(place => join(place, name)).find(path => existsSync(path))
  const label = join(places[0] ?? '', stem)
  const gone = parts.filter(part => !existsSync(part))
  if (gone.length > 0) throw new CliError(EXIT_CODES.failed, `there is no ${gone.join(', no ')}`)
  const sums = find(`${stem}.sums`)
  if (sums !== undefined) return { label, files: await checked(sums, { find, parts }) }
  const files: string[] = []
  const name = () => `${stem}.${String(files.length + 1).padStart(3, '0')}`
  for (let file = find(name()); file !== undefined; file = find(name())) files.push(file)
  const beyond = parts.find(part => !files.includes(part))
  if (files.length > 0 && beyond === undefined) return { label, files }
  throw new CliError(
    EXIT_CODES.failed,
    `${name()} is missing${beyond ? `: ${beyond} is there` : ''}`,
  )
}

interface Parts {
  readonly find: (name: string) => string | undefined
  readonly parts: readonly string[]
}

/** Each of them is as its sums say. */
async function checked(sums: string, { find, parts }: Parts): Promise<readonly string[]> {
  const volumes = listedIn(sums)
  const faults: string[] = []
  const files: string[] = []
  for (const volume of volumes) {
    const file = find(volume.name)
    const fault = file === undefined ? 'is missing' : await faultOf(file, volume)
    if (file !== undefined) files.push(file)
    if (fault !== undefined) faults.push(`${volume.name} ${fault}`)
  }
  for (const part of parts)
    if (part !== sums && !volumes.some(({ name }) => name === basename(part)))
      faults.push(`${basename(part)} is none of its volumes`)
  if (faults.length === 0) return files
  throw new CliError(
    EXIT_CODES.failed,
    `nothing was imported; by ${sums}:\n${faults.map(each => `  ${each}`).join('\n')}`,
  )
}

function listedIn(sums: string): readonly Volume[] {
  try {
    return readSums(readFileSync(sums, 'utf8')).volumes
  } catch (error) {
    const why = error instanceof BundleFault ? error.message : 'it cannot be read'
    throw new CliError(EXIT_CODES.failed, `${sums}: ${why}`)
  }
}

async function faultOf(file: string, { sizeBytes, sha256 }: Volume): Promise<string | undefined> {
  const { size } = statSync(file)
  if (size !== sizeBytes) return `has ${size} bytes, and is to have ${sizeBytes}`
  return (await sumOf(file)).sha256 === sha256 ? undefined : 'is damaged: copy it once more'
}
