// A web page can make a browser send requests to loopback addresses, also under a name of its own (DNS rebinding). Programs of
// this machine neither send an Origin nor call it by a foreign name.
import type { FastifyReply, FastifyRequest } from 'fastify'

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i
/** Probes and scrapes come from other machines, by whatever name, and give away no names of images. */
const OPEN_TO_ALL = new Set(['/livez', '/readyz', '/metrics'])

export async function refuseBrowsers(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const [path = ''] = request.url.split('?', 1)
  if (OPEN_TO_ALL.has(path)) return
  const isProgram =
    request.headers.origin === undefined && LOOPBACK.test(request.headers.host ?? '')
  if (isProgram) return
  const message =
    'the admin API answers programs on this machine, called by a loopback name; use the Unix socket'
  await reply.code(403).send({ code: 'DENIED', message })
}
