// The native sender, where a test is about it: built when it is missing, and a clear failure where
// it cannot be.
import { buildNative } from '../../../scripts/build-native.mjs'
import { loadSendfile, type Sendfile } from '../../../src/http/send/sendfile.ts'

/** @throws with what is missing */
export function requireSendfile(): Sendfile {
  const why = buildNative()
  const sendfile = loadSendfile()
  if (sendfile !== undefined) return sendfile
  throw new Error(
    `native/sender.c must be built: install gcc and libc6-dev (${why ?? 'it loads not'})`,
  )
}
