// What every HTTP thread goes by, from the configuration: values, since they go to other threads. A
// part of the composition root.
import { type SharedLoopback, whyLocalPushOff } from '../access/local-push.ts'
import type { Config } from '../config/config.ts'
import type { ThreadSettings } from '../threads/sides.ts'
import type { OpenTls } from './open-tls.ts'
import { routeOptions } from './route-options.ts'

export interface SettingsSurroundings {
  readonly uid: number | undefined
  readonly sharedLoopback?: SharedLoopback | undefined
}

/** Of the accounts in force: what the configuration does not tell. */
export interface AccountsState {
  readonly isEmpty: boolean
}

/** What is in force now beside the configuration: files say it, which change by themselves. */
export interface StateOfFiles {
  readonly accounts: AccountsState
  /** Undefined: plain HTTP. */
  readonly tls: Pick<OpenTls, 'options' | 'isForLoopback'> | undefined
}

export function threadSettings(
  config: Config,
  { uid, sharedLoopback }: SettingsSurroundings,
  { accounts: { isEmpty }, tls }: StateOfFiles,
): Omit<ThreadSettings, 'revision'> {
  const { hosts, anonymousHosts, publicUrl, names } = config.http
  const isForOthers = config.http.localPush === 'unsaid' && tls?.isForLoopback === false
  const localPush = isForOthers ? 'certificate' : config.http.localPush
  const accounts = config.auth && {
    realm: config.auth.realm,
    groups: config.auth.groups,
    isEmpty,
    tokenServer: config.auth.token && {
      realm: config.auth.token.realm,
      service: config.auth.token.service,
      defaultHost: config.defaultRegistry,
    },
  }
  const localPushOff = whyLocalPushOff(localPush, sharedLoopback)
  return {
    route: routeOptions(config),
    repositories: config.repositories,
    access: {
      serverUid: uid,
      localPushOff,
      hosts,
      anonymousHosts,
      publicNames: {
        url: publicUrl,
        hosts: [...names, ...(hosts ?? []), ...anonymousHosts, ...virtualHostsOf(config)],
      },
      rules: config.access,
      accounts,
    },
    proxies: { trusted: config.http.trustedProxies, protocol: config.http.proxyProtocol },
    clientLimits: config.http.limits,
    tls: tls?.options,
    logLevel: config.log.level,
  }
}

function virtualHostsOf({ upstreams }: Config): readonly string[] {
  return upstreams.flatMap(({ virtualHosts }) => virtualHosts)
}
