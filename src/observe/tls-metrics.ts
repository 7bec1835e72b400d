// The rows of the metrics table about TLS of the data port.
import type { MetricRow } from './metric-row.ts'

export const TLS_METRICS = {
  tlsFailures: {
    name: 'entrepot_tls_failures_total',
    type: 'counter',
    help: 'Connections that ended before their TLS was agreed on: a client that does not trust the certificate, no common version, a scan.',
    labels: {},
  },
  tlsCertificateExpires: {
    name: 'entrepot_tls_certificate_expires_seconds',
    type: 'gauge',
    help: 'When the first of the certificates that clients are shown expires, in seconds since 1970; 0 without TLS.',
    labels: {},
  },
  tlsAuthorityExpires: {
    name: 'entrepot_tls_client_authority_expires_seconds',
    type: 'gauge',
    help: 'When the first of the authorities of http.tls.clientcas expires, from when what it signed is refused, in seconds since 1970; 0 without any.',
    labels: {},
  },
  tlsCertificateFaulty: {
    name: 'entrepot_tls_certificate_faulty',
    type: 'gauge',
    help: '1 while a file of http.tls has faults or cannot be read, and the certificates of before stay in force.',
    labels: {},
  },
} as const satisfies Readonly<Record<string, MetricRow>>
