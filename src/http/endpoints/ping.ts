// `/v2/`, by which clients learn that this is a registry (end-1; R1, R2, R30), the extension list,
// and `/livez` for load balancers. None of them asks anybody anything.
import { type Answer, jsonAnswer } from '../answer.ts'
import { REVALIDATE } from './headers.ts'

const PING = jsonAnswer({}, { 'Cache-Control': REVALIDATE })
const EXTENSIONS = jsonAnswer({ extensions: [] }, { 'Cache-Control': REVALIDATE })
const LIVE: Answer = {
  status: 200,
  headers: { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' },
  body: { kind: 'bytes', bytes: Buffer.from('ok') },
}

export function answerPing(): Answer {
  return PING
}

/** `/v2/_oci/ext/discover`: there are none (R72). */
export function answerExtensions(): Answer {
  return EXTENSIONS
}

export function answerLivez(): Answer {
  return LIVE
}
