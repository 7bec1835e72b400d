// What names lead to, from the configuration: for whoever routes, a running server or a command.
import { DOCKER_HUB, DOCKER_HUB_ALIASES } from '../config/built-in.ts'
import type { Config } from '../config/config.ts'
import type { RouteOptions } from '../registry/routing/route.ts'

/** What the route of names is made of. */
export function routeOptions(config: Config): RouteOptions {
  return {
    defaultRegistry: config.defaultRegistry,
    upstreams: new Set(config.upstreams.map(each => each.registry)),
    aliases: new Map(DOCKER_HUB_ALIASES.map(alias => [alias, DOCKER_HUB] as const)),
    ownNames: new Set<string>(config.http.names),
    virtualHosts: new Map(
      config.upstreams.flatMap(each =>
        each.virtualHosts.map(host => [host as string, each.registry] as const),
      ),
    ),
    anyUpstream: config.anyUpstream !== undefined,
    names: {
      byRegistry: new Map(
        config.upstreams.map(({ registry, names }) => [registry, names] as const),
      ),
      any: config.anyUpstream?.names,
    },
  }
}
