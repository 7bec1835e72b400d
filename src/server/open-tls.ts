// TLS of the data port, as all of its threads have it: the keys of session tickets are the same on
// each, and change for as long as the process runs. A part of the composition root.
import { randomBytes } from 'node:crypto'
import type { TlsConfig } from '../config/config.ts'
import { rotateTicketKeys, TICKET_KEYS_BYTES, type TlsOptions } from '../http/tls/tls.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../registry/ports/clock.ts'

export interface OpenTlsDeps {
  readonly clock: Clock
  readonly metrics: Metrics
  /** With other keys from now on. */
  readonly use: (options: TlsOptions) => void
  /** Ends it. */
  readonly signal: AbortSignal
}

/** What to begin with. Undefined: plain HTTP. */
export function openTls(tls: TlsConfig | undefined, deps: OpenTlsDeps): TlsOptions | undefined {
  if (tls === undefined) return undefined
  const { clock, metrics, use, signal } = deps
  const { certificate, minimumVersion, expiresAtMs } = tls
  metrics.set('tlsCertificateExpires', {}, expiresAtMs / 1000)
  const options = { certificate, key: tls.key.reveal(), minimumVersion }
  void rotateTicketKeys({
    clock,
    randomBytes,
    use: ticketKeys => use({ ...options, ticketKeys }),
    signal,
  })
  return { ...options, ticketKeys: randomBytes(TICKET_KEYS_BYTES) }
}
