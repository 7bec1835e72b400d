// JSON text that every parser reads alike (R185, R186): no member named twice in one object, not
// even in another case, because Go clients match names without case and JavaScript does not; and no
// deep nesting. Run before JSON.parse, which keeps the last of two members and says nothing.
import { RegistryError } from './errors.ts'

/**
 * Manifests nest six deep; members that tools add of their own may nest further, attacks by the
 * thousand.
 */
export const JSON_DEPTH_MAX = 64

/** Its members are names that somebody chose, which Go too keeps apart by case. */
const MAP_MEMBER = 'annotations'

interface OpenObject {
  readonly names: Set<string>
  readonly isMap: boolean
  expectsName: boolean
  /** The member whose value comes next. */
  name: string
}

/**
 * @throws RegistryError MANIFEST_INVALID when nesting or member names are not as above, or the text
 * is not JSON. Returns what JSON.parse returns.
 */
export function parsePlainJson(text: string): unknown {
  checkNames(text)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RegistryError('MANIFEST_INVALID', 'the manifest is not JSON', { cause })
  }
}

/** Walks over tokens without checking the grammar, which JSON.parse does afterwards. */
function checkNames(text: string): void {
  const open: (OpenObject | undefined)[] = []
  for (let at = 0; at < text.length; at += 1) {
    const inside = open.at(-1)
    switch (text[at]) {
      case '{':
        open.push({
          names: new Set(),
          isMap: inside?.name === MAP_MEMBER,
          expectsName: true,
          name: '',
        })
        break
      case '[':
        open.push(undefined)
        break
      case '}':
      case ']':
        open.pop()
        break
      case ',':
        if (inside !== undefined) inside.expectsName = true
        break
      case '"': {
        const end = endOfString(text, at)
        if (inside?.expectsName) noteName(inside, text.slice(at, end + 1))
        at = end
        break
      }
    }
    if (open.length > JSON_DEPTH_MAX) {
      throw new RegistryError(
        'MANIFEST_INVALID',
        `the manifest nests deeper than ${JSON_DEPTH_MAX}`,
      )
    }
  }
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}

function noteName(inside: OpenObject, literal: string): void {
  inside.expectsName = false
  const name = readString(literal)
  const key = inside.isMap ? name : foldCase(name)
  if (inside.names.has(key)) {
    throw new RegistryError('MANIFEST_INVALID', 'the manifest names a member twice in one object')
  }
  inside.names.add(key)
  inside.name = name
}

function readString(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1)
  try {
    return JSON.parse(literal) as string
  } catch (cause) {
    throw new RegistryError('MANIFEST_INVALID', 'the manifest is not JSON', { cause })
  }
}

/**
 * Go folds by Unicode, `ſ` to `s` and the Kelvin sign to `k`: by way of upper case both are caught.
 */
export function foldCase(name: string): string {
  return name.toUpperCase().toLowerCase()
}
