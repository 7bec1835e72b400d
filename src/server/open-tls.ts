// TLS of the data port, as all of its threads have it: the certificates of the files that the
// configuration names, as they are now, and the keys of session tickets, the same on each thread,
// which change for as long as the process runs. A part of the composition root.
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type {
  CertifiedKey,
  ClientCertificatesConfig,
  Config,
  Expiry,
  TlsConfig,
} from '../config/config.ts'
import { expiriesOf, judgeAuthorities, judgePair } from '../config/build/judge-certificate.ts'
import { certificatesIn, chainIn } from '../config/pem.ts'
import { type FilesFault, type Judged, WatchedFiles } from '../config/watched-files.ts'
import { rotateTicketKeys, TICKET_KEYS_BYTES, type TlsOptions } from '../http/tls/tls.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { CertificatesNow } from '../registry/operator/operator-deps.ts'
import type { Clock } from '../registry/ports/clock.ts'

export interface OpenTlsDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** Called in the turn in which others are in force. Resolves when every thread goes by them. */
  readonly changed: () => Promise<void>
  /** The tickets of every thread are sealed with these from now on. */
  readonly ticketKeys: (keys: Buffer) => void
}

type OfFiles = Pick<TlsConfig, 'certificates' | 'clients'>

export class OpenTls {
  readonly #deps: OpenTlsDeps
  readonly #stopping = new AbortController()
  readonly #files: WatchedFiles<OfFiles, string>
  #tls: TlsConfig
  #ticketKeys: Buffer = randomBytes(TICKET_KEYS_BYTES)

  constructor(tls: TlsConfig, deps: OpenTlsDeps) {
    this.#deps = deps
    this.#tls = tls
    const { clock } = deps
    const { signal } = this.#stopping
    void rotateTicketKeys({ clock, randomBytes, use: keys => this.#seal(keys), signal })
    this.#files = this.#createFiles()
    this.#take(tls)
    void this.#files.watch(signal)
  }

  /** As they are in force now. */
  get options(): TlsOptions {
    const { certificates, minimumVersion, clients } = this.#tls
    return {
      certificates: certificates.map(({ certificate, key, names }) => ({
        certificate: chainIn(certificate),
        key: key.reveal(),
        names,
      })),
      minimumVersion,
      clients: clients && {
        authorities: clients.authorities.flatMap(({ text }) => certificatesIn(text)),
        fields: clients.fields,
      },
      ticketKeys: this.#ticketKeys,
    }
  }

  /** Are the certificates in force for this machine's loopback names alone? */
  get isForLoopback(): boolean {
    return this.#tls.certificates.every(({ isForLoopback }) => isForLoopback)
  }

  /** For `status`. */
  get certificates(): CertificatesNow {
    const { certificates, clients } = this.#tls
    const authorities = clients && nextToRenew(expiriesOfAuthorities(clients))
    return {
      ...nextToRenew(certificates),
      isRefused: this.#files.isRefused,
      ...(authorities && { authorities }),
    }
  }

  /**
   * Takes over what the configuration says now; whoever calls tells all threads. A port that has
   * TLS keeps it until the next start.
   */
  replace({ http }: Config): void {
    if (http.tls !== undefined) this.#take(http.tls)
  }

  stop(): void {
    this.#stopping.abort(new Error('the process stops'))
  }

  #take(tls: TlsConfig): void {
    this.#use(tls)
    const files = tls.certificates.flatMap(each => [
      { path: each.certificateFile, text: each.certificate },
      { path: each.keyFile, text: each.key.reveal() },
    ])
    const authorities = tls.clients?.authorities ?? []
    const more = authorities.map(({ file, text }) => ({ path: file, text }))
    this.#files.replace([...files, ...more])
  }

  #use(tls: TlsConfig): void {
    // Sessions that were begun with a certificate of before do not go on.
    if (!isDeepStrictEqual(tls.clients, this.#tls.clients))
      this.#ticketKeys = randomBytes(TICKET_KEYS_BYTES)
    this.#tls = tls
    const { metrics } = this.#deps
    metrics.set('tlsCertificateExpires', {}, firstEndOf(tls.certificates) / 1000)
    const authoritiesMs =
      tls.clients === undefined ? 0 : firstEndOf(expiriesOfAuthorities(tls.clients))
    metrics.set('tlsAuthorityExpires', {}, authoritiesMs / 1000)
  }

  #seal(keys: Buffer): void {
    this.#ticketKeys = keys
    this.#deps.ticketKeys(keys)
  }

  #createFiles(): WatchedFiles<OfFiles, string> {
    const { clock, logger, metrics, changed } = this.#deps
    const use = (next: OfFiles) => this.#use({ ...this.#tls, ...next })
    return new WatchedFiles<OfFiles, string>([], {
      sleep: (ms, signal) => clock.sleep(ms, signal),
      judge: texts => this.#judge(texts),
      async changed({ certificates, clients }) {
        use({ certificates, clients })
        await changed()
        const expires = new Date(firstEndOf(certificates)).toISOString()
        logger.info({ names: certificates.flatMap(({ names }) => names), expires }, RENEWED)
      },
      refused: why => {
        metrics.set('tlsCertificateFaulty', {}, 1)
        const hint = 'the certificates of before stay in force; "entrepot check" tells all faults'
        logger.error({ fault: describe(why), hint }, 'a certificate or its key is faulty')
      },
      mended() {
        metrics.set('tlsCertificateFaulty', {}, 0)
        logger.info('the certificates are good again')
      },
    })
  }

  /** `texts`: of each certificate and its key, in turn, then of each authority of clients. */
  #judge(texts: readonly string[]): Judged<OfFiles, string> {
    const { certificates: before, minimumVersion, clients } = this.#tls
    const certificates: CertifiedKey[] = []
    for (const [at, { certificateFile, keyFile }] of before.entries()) {
      const files = {
        certificate: { path: certificateFile, text: texts[2 * at] },
        key: { path: keyFile, text: texts[2 * at + 1] },
      }
      const { findings, pair } = judgePair(files, { minimumVersion, nowMs: undefined })
      const fault = findings.find(({ severity }) => severity !== 'warning')
      if (pair === undefined)
        return { kind: 'faulty', fault: fault?.message ?? `${certificateFile} cannot be used` }
      certificates.push(pair)
    }
    const authorities = clients?.authorities.map(({ file }, at) => ({
      file,
      text: texts[2 * before.length + at] ?? '',
    }))
    for (const { file, text } of authorities ?? []) {
      const [fault] = judgeAuthorities({ path: file, text }, undefined)
      if (fault !== undefined) return { kind: 'faulty', fault: fault.message }
    }
    return {
      kind: 'good',
      value: { certificates, clients: clients && { ...clients, authorities: authorities ?? [] } },
    }
  }
}

const RENEWED = 'other certificates are in force'

function firstEndOf(all: readonly Expiry[]): number {
  return Math.min(...all.map(({ expiresAtMs }) => expiresAtMs))
}

/** One of long life may be due before one of days that ends sooner. */
function nextToRenew(all: readonly Expiry[]): Expiry {
  const { expiresAtMs, renewAtMs } = all.reduce((one, other) =>
    other.renewAtMs < one.renewAtMs ? other : one,
  )
  return { expiresAtMs, renewAtMs }
}

function expiriesOfAuthorities({ authorities }: ClientCertificatesConfig): readonly Expiry[] {
  return expiriesOf(authorities.map(({ text }) => text))
}

function describe(why: FilesFault<string>): string {
  return why.kind === 'faulty' ? why.fault : `cannot read ${why.path}: ${why.reason}`
}
