// What a backup is read by: it lasts as long as the request that began it, and each part of it is
// the answer of another one. Who writes it is the command (docs/adr/0051-backups.md).
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Logger } from '../observe/log.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Backups } from '../registry/carry/backups.ts'
import { parameter, required, sendBytes, sendEvents } from './requests.ts'

const LINES = 'application/x-ndjson'
const BYTES = 'application/octet-stream'

export function registerBackups(api: FastifyInstance, backups: Backups, logger: Logger): void {
  api.post('/backups', async (request, reply) => {
    const ofAll = parameter(request, 'all') === 'true'
    return sendEvents(reply, signal => backups.begin({ ofAll }, signal))
  })
  api.get('/backups/catalog', (request, reply) => {
    const { pieces, sizeBytes } = backups.catalog(required(request, 'id'))
    return sendBytes(reply, pieces, { type: BYTES, sizeBytes, logger })
  })
  api.get('/backups/facts', (request, reply) =>
    sendBytes(reply, backups.facts(required(request, 'id')), { type: LINES, logger }),
  )
  api.get('/backups/contents', (request, reply) =>
    sendBytes(reply, backups.contents(required(request, 'id')), { type: LINES, logger }),
  )
  api.get('/backups/blob', async (request, reply) => {
    const sizeBytes = bytesOf(request, 'size')
    const digest = required(request, 'digest')
    const pieces = await backups.blob(required(request, 'id'), digest, sizeBytes)
    return sendBytes(reply, pieces, { type: BYTES, sizeBytes, logger })
  })
  api.post('/backups/tell', async request =>
    backups.tell(required(request, 'id'), bytesOf(request, 'bytes')),
  )
  api.post('/backups/sign', async request =>
    backups.sign(required(request, 'id'), required(request, 'sha256')),
  )
  api.post('/backups/rotten', async request =>
    backups.lookAgain(required(request, 'id'), required(request, 'digest')),
  )
}

function bytesOf(request: FastifyRequest, name: string): number {
  const value = Number(required(request, name))
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RegistryError('SIZE_INVALID', `?${name}= is a number of bytes`)
}
