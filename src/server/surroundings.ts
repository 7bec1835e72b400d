// What a server is given by the process that runs it, and what that process is given back.
import type { SharedLoopback } from '../access/local-push.ts'
import type { Config } from '../config/config.ts'
import type { ConfigChange } from '../config/settings-list.ts'
import type { Logger } from '../observe/log.ts'
import type { Sending } from '../registry/operator/operator-deps.ts'
import type { Clock } from '../registry/ports/clock.ts'

export interface Surroundings {
  readonly clock: Clock
  readonly random: () => number
  readonly version: string
  readonly nodeVersion: string
  /** Of this process. */
  readonly pid: number
  /** What this process may have of the machine's memory. */
  readonly memoryBytes: number
  /**
   * Processor cores that this process may use at the same time: so many threads serve where the
   * configuration names no number.
   */
  readonly cores: number
  /** The user that this process runs as; undefined where systems have no such numbers. */
  readonly uid: number | undefined
  /**
   * Why a program that calls from loopback may be what forwards others. Default: nothing says so.
   */
  readonly sharedLoopback?: SharedLoopback | undefined
  /** What this machine calls itself. Default: nothing that anybody types. */
  readonly hostname?: string
  /** Changes with every start of the machine: tells a killed process from a power cut. */
  readonly bootId: string
  /**
   * How long a request to an upstream whose answer was never seen may still arrive there. Default
   * three minutes.
   */
  readonly settlingMs?: number
  /** May blobs be sent by native/sender.c where it was built? Default true. */
  readonly native?: boolean | undefined
  /** Where log lines go. Default: standard output. */
  readonly logDestination?: { write(line: string): void }
  /** Has `act` called when the process ends, for the last log lines. Default: nothing is called. */
  readonly atExit?: (act: () => void) => void
  /** What a further HTTP thread runs. Default: http-thread beside this file. */
  readonly threadEntry?: URL
}

export interface RunningServer {
  /**
   * As they really are: with the port that the system chose; with `https://` where TLS is spoken.
   */
  readonly http: string
  readonly admin: string
  /** The URL of the operator's API over the network, where there is one. */
  readonly adminApi: string | undefined
  readonly socket: string
  readonly sending: Sending
  readonly logger: Logger
  /**
   * Takes over what can change while running; says what only a restart brings. Where it throws,
   * part of it may be in force: `status` tells. MUST NOT be called once `stop` was.
   */
  reload(config: Config): Promise<ConfigChange>
  /**
   * What was to be loaded has these faults, a line each: `status` tells them until a reload is
   * taken.
   */
  refuseReload(faults: readonly string[]): void
  /**
   * Drains for at most http.draintimeout, parks what is unfinished, closes everything. Not to be
   * called twice.
   */
  stop(): Promise<void>
}
