// `pins` → selectors, and what cannot be meant: a pin that matches nothing, and one that another
// says already.
import { type KnownNames, knowsAllHosts, nothingMatched } from './build-repositories.ts'
import { covers, coversTag } from '../formats/globs.ts'
import type { Judge } from '../judge.ts'
import type { Settings } from '../schema/schema.ts'
import type { Selector } from '../../registry/pins/selectors.ts'

export function buildPins(
  judge: Judge,
  { pins, upstreams }: Settings,
  known: KnownNames,
): readonly Selector[] {
  const allHosts = knowsAllHosts({ upstreams }, known)
  for (const [index, pin] of pins.entries()) {
    if (pin.kind === 'content') continue
    const nothing = allHosts ? nothingMatched(pin.repositories, known) : undefined
    if (nothing !== undefined) {
      const { suggestion } = nothing
      const whole = suggestion === undefined ? undefined : `${suggestion}${restOf(pin)}`
      judge.note(['pins', index], { ...nothing, suggestion: whole })
      continue
    }
    if (pin.kind === 'repositories' && pin.repositories === '**') {
      const message = 'pins all that ever comes: nothing leaves by itself, and the disk stays full'
      judge.note(['pins', index], { severity: 'warning', message })
    }
    const earlier = pins.slice(0, index).findIndex(other => saysAll(other, pin))
    if (earlier === -1) continue
    const before = judge.indexAsWritten(['pins'], earlier)
    const message = `says nothing more: pins[${before}] is about all of it`
    judge.note(['pins', index], { severity: 'warning', message })
  }
  return pins
}

/** Behind the pattern of repositories. */
function restOf(pin: Exclude<Selector, { kind: 'content' }>): string {
  if (pin.kind === 'repositories') return ''
  return pin.kind === 'tags' ? `:${pin.tags}` : `@${pin.digest}`
}

function saysAll(earlier: Selector, later: Exclude<Selector, { kind: 'content' }>): boolean {
  if (earlier.kind === 'content')
    return later.kind === 'manifest' && later.digest === earlier.digest
  if (!covers(earlier.repositories, later.repositories)) return false
  if (earlier.kind === 'repositories') return true
  if (earlier.kind === 'tags') return later.kind === 'tags' && coversTag(earlier.tags, later.tags)
  return later.kind === 'manifest' && later.digest === earlier.digest
}
