// The licenses of the libraries that a build has taken into itself: nearly all of them ask to go
// along with every copy.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const LIBRARY = /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//
/** With what was written by others again, and taken over. */
const TERMS = /^(licen[cs]e|copying|notice)/i

/**
 * @param {readonly string[]} modules paths of source files @returns one text; @throws Error for a
 * library that names no license
 */
export function licensesOf(modules) {
  const directories = new Set(modules.map(path => LIBRARY.exec(path)?.[1]).filter(Boolean))
  return [...directories]
    .map(termsOf)
    .toSorted((a, b) => a.localeCompare(b))
    .join('\n')
}

function termsOf(directory) {
  const { name, version, license } = JSON.parse(
    readFileSync(join(directory, 'package.json'), 'utf8'),
  )
  if (!license) throw new Error(`${name} ${version} names no license; who copies it must know`)
  const texts = readdirSync(directory)
    .filter(file => TERMS.test(file))
    .map(file => readFileSync(join(directory, file), 'utf8').trim())
  return [`== ${name} ${version}: ${license}`, ...texts, ''].join('\n\n')
}
