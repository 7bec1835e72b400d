// What is wrong with a request before anybody looks at its target: HTTP syntax that node lets pass,
// and bounds (R192; step 1 of the order of error precedence).
import type { IncomingMessage } from 'node:http'
import { RegistryError } from '../oci/errors.ts'
import { isHostHeader } from './host-header.ts'
import { QUERY_PARAMETERS_MAX } from './limits.ts'
import type { Caller } from './proxies/callers.ts'

/** @throws RegistryError UNSUPPORTED with status 400, or 414 for too many query parameters */
export function checkSyntax(request: IncomingMessage, { unclear }: Pick<Caller, 'unclear'>): void {
  checkHost(request)
  if (unclear !== undefined) throw malformed(unclear)
  // Node takes the head of such a request and only then finds that it cannot read the body.
  if ((request.headers['transfer-encoding'] ?? 'chunked').toLowerCase() !== 'chunked') {
    throw malformed('the only transfer coding here is chunked')
  }
  const target = request.url ?? ''
  if (target.split('&', QUERY_PARAMETERS_MAX + 1).length > QUERY_PARAMETERS_MAX) {
    throw malformed(`at most ${QUERY_PARAMETERS_MAX} query parameters in one request`, 414)
  }
}

/** HTTP/1.1 requires exactly one, and node keeps only the first of several. */
function checkHost({
  rawHeaders,
  headers,
  httpVersionMajor,
  httpVersionMinor,
}: IncomingMessage): void {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  const required = httpVersionMajor === 1 && httpVersionMinor >= 1
  if (count > 1 || (required && count === 0)) throw malformed('a request carries one Host header')
  const { host } = headers
  if (host !== undefined && host !== '' && !isHostHeader(host)) {
    throw malformed('the Host header is no host name')
  }
}

function malformed(message: string, status = 400): RegistryError {
  return new RegistryError('UNSUPPORTED', message, { status })
}
