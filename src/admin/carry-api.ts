// What is carried out of this edge, and into it: the key, inventories, exports and imports. An
// export lasts as long as the request that began it, and is read by another one; a bundle that is
// imported is the body of one request, whose answer tells what becomes of it.
import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { NoteAudit } from '../observe/audit.ts'
import type { Logger } from '../observe/log.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Carry } from '../registry/carry/carry.ts'
import type { AskedBy } from './audit-actions.ts'
import { auditImport } from './audit-import.ts'
import { parameter, parameters, required, sendBytes, sendEvents } from './requests.ts'

/** Of bundles, both ways. */
export const BUNDLE_TYPE = 'application/x-tar'

interface CarryDeps {
  readonly logger: Logger
  readonly audit: NoteAudit | undefined
  readonly askedBy: (request: FastifyRequest) => AskedBy | undefined
}

export function registerCarry(
  api: FastifyInstance,
  carry: Carry,
  { logger, audit, askedBy }: CarryDeps,
): void {
  const { exports } = carry
  api.get('/key', async () => carry.key())
  api.get('/inventory', (request, reply) => {
    const pieces = carry.inventory(parameters(request, 'pattern'))
    return sendBytes(reply, pieces, { type: 'application/x-ndjson', logger })
  })
  // As it comes: a bundle is larger than memory. No other body has any business here.
  api.removeAllContentTypeParsers()
  api.addContentTypeParser(BUNDLE_TYPE, (_request, body, done) => done(null, body))
  api.post('/import', async (request, reply) => {
    const { body } = request
    if (body === undefined)
      throw new RegistryError('UNSUPPORTED', `the bundle is the body, of type ${BUNDLE_TYPE}`)
    const options = {
      dryRun: parameter(request, 'dry-run') === 'true',
      keys: parameters(request, 'key'),
      as: parameter(request, 'as'),
    }
    const bundle = (body as Readable).iterator({ destroyOnReturn: false })
    // What is left of one that is refused would stand before the next request of the connection.
    reply.raw.once('finish', () => void passOver(bundle).catch(() => {}))
    return sendEvents(reply, signal => {
      const events = carry.imports.run(bundle, options, signal)
      const asker = askedBy(request)
      if (audit === undefined || asker === undefined || options.dryRun) return events
      return auditImport(events, audit, asker)
    })
  })
  api.post('/exports', async (_request, reply) =>
    sendEvents(reply, signal => exports.begin(signal)),
  )
  api.post('/exports/add', async (request, reply) => {
    const wanted = {
      image: required(request, 'image'),
      platforms: parameters(request, 'platform'),
      referrers: parameter(request, 'referrers') !== 'false',
    }
    const id = required(request, 'id')
    return sendEvents(reply, signal => exports.add(id, wanted, signal))
  })
  api.get('/exports/digests', (request, reply) => {
    const pieces = exports.digests(required(request, 'id'))
    return sendBytes(reply, pieces, { type: 'text/plain', logger })
  })
  api.post('/exports/suppose', async request =>
    exports.suppose(required(request, 'id'), parameters(request, 'digest')),
  )
  api.post('/exports/fetch', async (request, reply) => {
    const id = required(request, 'id')
    return sendEvents(reply, signal => exports.fetch(id, signal))
  })
  api.post('/exports/plan', async request => exports.plan(required(request, 'id')))
  api.post('/exports/sign', async request =>
    exports.sign(required(request, 'id'), required(request, 'sha256')),
  )
  api.post('/exports/rotten', async request =>
    exports.lookAgain(required(request, 'id'), required(request, 'digest')),
  )
  api.get('/exports/bundle', async (request, reply) => {
    const from = Number(parameter(request, 'from') ?? 0)
    if (!Number.isSafeInteger(from)) throw new RegistryError('RANGE_INVALID', '?from= is a number')
    const { pieces, sizeBytes } = exports.read(required(request, 'id'), from)
    return sendBytes(reply, pieces, { type: BUNDLE_TYPE, sizeBytes, logger })
  })
}

async function passOver(rest: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of rest);
}
