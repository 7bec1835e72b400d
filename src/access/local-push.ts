// Whether programs of this machine are told from others at all, which hangs on the configuration
// and on where the server runs.

/** Why they are not, for whoever is refused. */
export const LOCAL_PUSH_OFF = {
  'set to false': 'and not from these either, because http.localpush is false',
  'public name':
    'and from these only with http.localpush: true, because http.host says that others come to it by another name, perhaps through a proxy on its machine',
  proxy:
    'and from these only with http.localpush: true, because http.trustedproxies says that a proxy on its machine passes on what others ask',
  certificate:
    'and from these only with http.localpush: true, because its certificate is for names by which others come to it',
  'user namespace':
    'and from these only with http.localpush: true, because it runs in a container whose root is another user outside (rootless, userns-remap, unprivileged LXC), where what is forwarded from outside can look like them',
  pod: 'and from these only with http.localpush: true, because it runs in a pod, where what another container forwards looks like them',
} as const

type LocalPushOff = keyof typeof LOCAL_PUSH_OFF

/** Why a program that calls from loopback may be what forwards others. */
export type SharedLoopback = 'user namespace' | 'pod'

/**
 * What `localPushOff` is when the configuration says `said`: `unsaid` is as the server's
 * surroundings have it, where what forwards others may call from loopback as clients do.
 */
export function whyLocalPushOff(
  said: 'on' | 'unsaid' | LocalPushOff,
  surroundings: SharedLoopback | undefined,
): LocalPushOff | undefined {
  if (said === 'unsaid') return surroundings
  return said === 'on' ? undefined : said
}
