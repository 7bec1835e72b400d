// What a server of the bench is, what it is started with, and how its configuration is written and
// the program started.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Content } from '../../test/kit/content.ts'
import type { Certificate } from '../../test/kit/certificate.ts'
import { type Command, type RunningServer, startServer } from '../server-process.ts'
import { freePort } from '../../test/kit/loopback.ts'

export interface ServerOptions {
  readonly upstreamUrl: string
  /** Of the server alone; what it stored there stays for a second start. */
  readonly directory: string
  /** For Entrepot: how long a tag is fresh. Default: its own. */
  readonly ttl?: string
  /** For Entrepot and nginx: threads or processes that serve. Default: their own, and 2. */
  readonly threads?: number
  /** For Entrepot: further keys of its storage. */
  readonly storage?: Readonly<Record<string, unknown>>
  /** For Entrepot: who may do what. Default: there are no rules. */
  readonly access?: readonly object[]
  /** For Entrepot: its accounts. Default: there are none. */
  readonly auth?: object
  /** For Entrepot: further keys of its upstream. */
  readonly upstream?: Readonly<Record<string, unknown>>
  /** Speaks TLS with this certificate, TLS 1.3 where that can be set. */
  readonly certificate?: Certificate
  /** For a server that has its content from the start: bytes by path of the URL. */
  readonly files?: Readonly<Record<string, Content>>
}

export interface ServerKind {
  readonly name: string
  /** It knows blobs only of images that were asked for by tag before. */
  readonly wantsManifestFirst?: true
  /** It serves files and asks no upstream. */
  readonly isStatic?: true
  /** @throws Error when it does not start */
  start(options: ServerOptions): Promise<RunningServer>
}

interface Launch extends Omit<Command, 'args' | 'directory' | 'port' | 'authority'> {
  readonly args: (file: string) => readonly string[]
  readonly fileName: string
  readonly config: (port: number) => string
}

/**
 * Writes the configuration into the server's directory and waits for its first answer.
 * @throws Error as startServer
 */
export async function launch(
  { directory, certificate }: ServerOptions,
  { config, args, fileName, ...command }: Launch,
): Promise<RunningServer> {
  const port = await freePort()
  const file = join(directory, fileName)
  mkdirSync(directory, { recursive: true })
  writeFileSync(file, config(port))
  const authority = certificate === undefined ? {} : { authority: certificate.ca }
  return startServer({ ...command, ...authority, args: args(file), directory, port })
}

/**
 * Paths of certificate and key, written into the server's directory; undefined for one that speaks
 * plain HTTP.
 */
export function writeCertificate({ directory, certificate }: ServerOptions) {
  if (certificate === undefined) return undefined
  mkdirSync(directory, { recursive: true })
  const files = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  writeFileSync(files.certificate, certificate.cert)
  writeFileSync(files.key, certificate.key)
  return files
}
