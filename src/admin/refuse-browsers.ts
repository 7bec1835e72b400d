// No web page has business with the operator's API. A browser reaches no Unix socket by itself; a
// proxy that an operator put in front of one would bring it there.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { browserMark } from '../access/marks.ts'

export async function refuseBrowsers(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const mark = browserMark(request.raw.rawHeaders)
  if (mark === undefined) return
  const message = `the admin API answers no web pages (${mark} says that a browser asks)`
  await reply.code(403).send({ code: 'DENIED', message })
}
