// Who calls, where proxies may stand in between: the one place that takes the address of a
// connection for somebody's. Whoever wants to know whose a request is, for rules, limits, places or
// the log, asks here. From the proxies that the configuration lists it believes who they say that
// asks; nobody else can say anything.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type Network, plainPeer } from '../../access/network.ts'
import { NetworkTable } from '../../access/network-table.ts'
import { endsOf } from '../connection-ends.ts'
import { type IsTrusted, readForwarding, saysForWhom, type Scheme } from './forwarding.ts'
import { UNKNOWN } from './node-name.ts'

/** Values, so that each thread can be given them. */
export interface ProxySettings {
  /** Where proxies call from that are believed. */
  readonly trusted: readonly Network[]
  /** Does what they send begin with a PROXY header (proxy-header.ts)? */
  readonly protocol: 'none' | 'optional' | 'required'
}

/** As far as the settings `by` tell. */
export interface Caller {
  readonly by: ProxySettings
  /**
   * Undefined of a connection that ended before anybody asked; UNKNOWN where a proxy does not say.
   */
  readonly address: string | undefined
  /** Somebody passes it on: it is no program of this machine, wherever its connection is from. */
  readonly isForwarded: boolean
  /** By which it was called, in front of the proxies. Undefined: nobody says. */
  readonly host: string | undefined
  readonly scheme: Scheme | undefined
  /** Why nobody can say who asks, for whoever does. */
  readonly unclear: string | undefined
}

export interface CallersDeps {
  /** Asked for at each question: a reload changes them. */
  readonly settings: () => ProxySettings
  /** Each is called until it was told once. Default: nobody is told. */
  readonly tellOf?: TellOfProxies | undefined
}

export interface TellOfProxies {
  /** Somebody who is not listed says that it passes on what others ask. */
  readonly unlisted: TellOnce
  /** One that is listed does not say for whom it asks, and is taken for who asks. */
  readonly silent: TellOnce
}

export interface TellOnce {
  readonly isTold: boolean
  tell(address: string): void
}

type Asked = Pick<IncomingMessage, 'socket' | 'rawHeaders' | 'url'>
/** What proxies ask for themselves, to see whether anybody answers. */
const PROBES: ReadonlySet<string | undefined> = new Set(['/', '/livez', '/v2/', '/v2'])

export const NO_PROXIES: ProxySettings = { trusted: [], protocol: 'none' }

function callerAt(by: ProxySettings, address: string | undefined, isForwarded: boolean): Caller {
  return { by, address, isForwarded, host: undefined, scheme: undefined, unclear: undefined }
}

export class Callers {
  readonly #deps: CallersDeps
  readonly #trustOf = createTrustOf()
  /** What PROXY headers said, by the ends of their connection, until requests come over it. */
  readonly #announced = new Map<string, { readonly address: string }>()
  readonly #said = new WeakMap<Socket, string>()

  constructor(deps: CallersDeps) {
    this.#deps = deps
  }

  get settings(): ProxySettings {
    return this.#deps.settings()
  }

  /** Is what comes from there what a listed proxy sends? */
  isTrusted(address: string | undefined): boolean {
    return address !== undefined && this.#trustOf(this.settings)(address)
  }

  /** A connection is somebody's: its address, or UNKNOWN. To be told before it is `connected`. */
  announce(socket: Socket, address: string): void {
    const ends = endsOf(socket)
    const announced = { address: plainPeer(address) }
    this.#announced.set(ends, announced)
    // Where a proxy broke one off, the next may have the same ends before that is heard.
    socket.once('close', () => {
      if (this.#announced.get(ends) === announced) this.#announced.delete(ends)
    })
  }

  /** To be told of each connection that requests come over, what TLS made of one too. */
  connected(socket: Socket): void {
    if (this.#announced.size === 0) return
    const announced = this.#announced.get(endsOf(socket))
    if (announced !== undefined) this.#said.set(socket, announced.address)
  }

  of(request: Asked): Caller {
    const { socket, rawHeaders } = request
    const by = this.settings
    const said = this.#said.get(socket)
    if (by.trusted.length === 0 && said === undefined) {
      const address = plainPeer(socket.remoteAddress)
      this.#noteUnlisted(address, rawHeaders)
      return callerAt(by, address, false)
    }
    return this.#behindProxies(by, said, request)
  }

  /** What `caller` is by the settings of now. */
  again(caller: Caller, request: Asked): Caller {
    return caller.by === this.settings ? caller : this.of(request)
  }

  #behindProxies(
    by: ProxySettings,
    said: string | undefined,
    { socket, rawHeaders, url }: Asked,
  ): Caller {
    const isTrusted = this.#trustOf(by)
    const peer = plainPeer(socket.remoteAddress)
    const isProxy = peer !== undefined && isTrusted(peer)
    // It began before the settings of now: what said it is listed no more, or has to say it now.
    const isOld = said === undefined ? isProxy && by.protocol === 'required' : !isProxy
    const address = isOld ? UNKNOWN : (said ?? peer)
    const direct = callerAt(by, address, said !== undefined)
    if (address === undefined || address === UNKNOWN || !isTrusted(address)) {
      this.#noteUnlisted(address, rawHeaders)
      return direct
    }
    const forwarding = readForwarding(rawHeaders, isTrusted)
    if (forwarding === undefined) {
      const silent = this.#deps.tellOf?.silent
      if (silent?.isTold === false && !PROBES.has(url)) silent.tell(address)
      return direct
    }
    if (forwarding.kind === 'unclear')
      return { ...direct, isForwarded: true, address: UNKNOWN, unclear: forwarding.reason }
    const { host, scheme } = forwarding
    return { ...direct, isForwarded: true, address: forwarding.address, host, scheme }
  }

  #noteUnlisted(address: string | undefined, rawHeaders: readonly string[]): void {
    const unlisted = this.#deps.tellOf?.unlisted
    if (unlisted === undefined || unlisted.isTold || address === undefined) return
    if (saysForWhom(rawHeaders)) unlisted.tell(address)
  }
}

/** The name that a request calls this edge by. */
export function hostOf(
  { headers }: Pick<IncomingMessage, 'headers'>,
  { host }: Pick<Caller, 'host'>,
): string | undefined {
  return host ?? headers.host
}

/** What its client speaks, to this edge or to the first proxy. */
export function schemeOf(
  { socket }: Pick<IncomingMessage, 'socket'>,
  { scheme }: Pick<Caller, 'scheme'>,
): Scheme {
  return scheme ?? ('encrypted' in socket ? 'https' : 'http')
}

/** Addresses looked at last: every request of a connection has the same ones. */
const LOOKED_AT_MAX = 1_024

/** Networks are compiled when they are new; they come as the same list until then. */
function createTrustOf(): (settings: ProxySettings) => IsTrusted {
  let compiled: { readonly of: ProxySettings['trusted']; readonly is: IsTrusted } | undefined
  return ({ trusted }) => {
    if (compiled?.of !== trusted) compiled = { of: trusted, is: createIsTrusted(trusted) }
    return compiled.is
  }
}

function createIsTrusted(trusted: ProxySettings['trusted']): IsTrusted {
  const networks = new NetworkTable(trusted)
  const lookedAt = new Map<string, boolean>()
  return address => {
    const known = lookedAt.get(address)
    if (known !== undefined) return known
    if (lookedAt.size >= LOOKED_AT_MAX) lookedAt.clear()
    const found = (networks.find(address)?.length ?? 0) > 0
    lookedAt.set(address, found)
    return found
  }
}
