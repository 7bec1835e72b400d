// What is sent to a namespace, as the Upstream port has it. Names that are kept out are kept out
// here as well.
import type { Clock } from '../../registry/ports/clock.ts'
import type { Upstream } from '../../registry/ports/upstream.ts'
import type { NameRules } from '../name-rules.ts'
import { mountBlob, pushBlob, streamBlob } from './push-blob.ts'
import { putManifest } from './put-manifest.ts'
import type { Write } from './write-chain.ts'

export type Writes = Pick<Upstream, 'mountBlob' | 'pushBlob' | 'streamBlob' | 'putManifest'>

export interface WriteParts {
  readonly write: Write
  readonly clock: Clock
  readonly rules: NameRules
}

export function createWrites({ write, clock, rules }: WriteParts): Writes {
  const { allows, assertAllowed } = rules
  return {
    mountBlob: async (name, digest, from, signal) => {
      assertAllowed(name)
      // Its bytes are here and can be sent.
      if (!allows(from)) return false
      return write(mountBlob({ name, digest, from }, clock), { signal })
    },
    pushBlob: async (name, source, signal) => {
      assertAllowed(name)
      return write(pushBlob(name, source, clock), { signal })
    },
    streamBlob: async (name, body, signal) => {
      assertAllowed(name)
      return streamBlob(name, body, { write, clock, signal })
    },
    putManifest: async (name, reference, manifest, signal) => {
      assertAllowed(name)
      const isFinal = () => manifest.once === true
      return write(putManifest({ ...manifest, name, reference }, clock), { signal, isFinal })
    },
  }
}
