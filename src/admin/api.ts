// /api/v1: what the command line and the console ask for. JSON in and out, except for `pull` and
// runs of jobs, whose progress is one JSON object per line. Who may is for the listeners to say.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { EndedLogins } from '../access/accounts.ts'
import { formatName } from '../access/names.ts'
import type { NoteAudit } from '../observe/audit.ts'
import type { Logger } from '../observe/log.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Carry } from '../registry/carry/carry.ts'
import type { ListedBackups } from '../registry/carry/backup-answers.ts'
import type { ListedExports } from '../registry/carry/export-answers.ts'
import type { ListedImports } from '../registry/carry/import-answers.ts'
import { parsePart } from '../registry/fsck/read-part.ts'
import type { FsckControl } from '../registry/fsck/run-fsck.ts'
import type { JobControl, ListedJobs } from '../registry/job.ts'
import type { Operator } from '../registry/operator/operator.ts'
import { ENTRY_ID } from '../registry/ports/outbox.ts'
import { type AskedBy, auditActions, noteDone } from './audit-actions.ts'
import { registerBackups } from './backup-api.ts'
import { registerCarry } from './carry-api.ts'
import { failedBy, failureOf, parameter, parameters, required, sendEvents } from './requests.ts'

export interface ApiDeps {
  readonly operator: Operator
  readonly carry: Carry
  readonly fsck: FsckControl
  readonly accounts: AccountsControl
  readonly logger: Logger
  /** Default: nothing is. */
  readonly audit?: NoteAudit | undefined
  /** Who asks. Default: whoever may use the socket. */
  readonly askedBy?: ((request: FastifyRequest) => AskedBy | undefined) | undefined
}

const OPERATOR: AskedBy = { who: formatName({ kind: 'operator' }) }

/** What is over is so on every thread when these resolve. */
export interface AccountsControl {
  /**
   * Takes the file of accounts as it is now. Resolves when every thread goes by it, or it was
   * refused. Undefined: there are no accounts. `name`: of an account to tell about.
   */
  look(name?: string): Promise<LookedAtAccounts | undefined>
  /** Of the tokens of this account none is good any more. */
  endLogins(account: string): Promise<EndedLogins>
  readonly robots: RobotsControl
}

export interface EndedLoginsAnswer {
  readonly outcome: EndedLogins
}

export type RobotAnswer =
  | { readonly kind: 'issued'; readonly robot: ListedRobot; readonly secret: string }
  | { readonly kind: 'revoked' | 'no accounts' }
  | { readonly kind: 'there already' | 'not there' | 'too many' | 'no name' }

export interface ListedRobot {
  readonly name: string
  /** Wall clock. */
  readonly issuedAtMs: number
  /** Undefined: never. */
  readonly expiresAtMs: number | undefined
  /** `expiring`: within seven days. */
  readonly state: 'valid' | 'expiring' | 'expired'
  /** The secret of before a rotation, which is good until then. Absent: there is none. */
  readonly before?: { readonly untilMs?: number | undefined }
}

export interface ListedRobots {
  readonly robots: readonly ListedRobot[]
}

export interface RobotsControl {
  list(): ListedRobots
  issue(name: string, lifeMs: number): Promise<RobotAnswer>
  rotate(name: string, overlapMs: number): Promise<RobotAnswer>
  revoke(name: string): Promise<RobotAnswer>
}

export interface LookedAtAccounts {
  /** The whole one. */
  readonly path: string
  /** If not, the accounts of before are. */
  readonly isInForce: boolean
  /** Of `name`: is there such an account in force? */
  readonly isThere: boolean
}

/** All that works beside clients. */
export interface ListedWork extends ListedJobs {
  readonly exports: ListedExports
  readonly imports: ListedImports
  readonly backups: ListedBackups
}

export function registerApi(
  app: FastifyInstance,
  { operator, carry, fsck, accounts, logger, audit, askedBy = () => OPERATOR }: ApiDeps,
): void {
  app.register(
    async api => {
      api.setErrorHandler((error, _request, reply) => {
        const { code, status, message } = failureOf(error)
        if (status === 500) logger.error({ err: error }, 'admin request failed')
        reply.code(status).send({ code, message })
      })
      api.addHook('onResponse', async request => {
        const err = failedBy(request)
        if (err !== undefined && failureOf(err).status === 500)
          logger.error({ err }, 'admin request failed')
      })
      if (audit !== undefined) auditActions(api, audit, askedBy)
      api.get('/status', async () => operator.status())
      api.get('/images', async request =>
        operator.list(parameter(request, 'pattern'), parameter(request, 'sort')),
      )
      api.get('/image', async request => operator.inspect(required(request, 'name')))
      api.get('/why', async request => operator.why(required(request, 'name')))
      api.get('/queue', async () => operator.queue())
      api.post('/queue/retry', async request => {
        const isAll = parameter(request, 'all') === 'true'
        return operator.retryQueued(isAll ? 'all' : entryId(request))
      })
      api.post('/queue/drop', async request => operator.dropQueued(entryId(request)))
      api.post('/pull', async (request, reply) => {
        const wanted = {
          image: required(request, 'name'),
          platforms: parameters(request, 'platform'),
        }
        return sendEvents(reply, signal => operator.warm(wanted, signal))
      })
      registerJobs(api, operator.jobs, carry)
      registerCarry(api, carry, { logger, audit, askedBy })
      api.post('/fsck', async (request, reply) => {
        const read = parameter(request, 'read-data')
        const repair = parameter(request, 'repair') === 'true'
        const wanted = { read: read === undefined ? undefined : readPart(read), repair }
        return sendEvents(reply, signal => fsck.run(wanted, signal))
      })
      registerBackups(api, carry.backups, logger)
      api.post('/purge', async (request, reply) => {
        const pattern = required(request, 'pattern')
        const kept = parameter(request, 'kept') === 'true'
        const dryRun = parameter(request, 'dry-run') === 'true'
        return sendEvents(reply, signal => operator.purge(pattern, { kept, dryRun, signal }))
      })
      api.post(
        '/accounts/look',
        async request => (await accounts.look(parameter(request, 'name'))) ?? {},
      )
      api.post('/accounts/logout', async (request): Promise<EndedLoginsAnswer> => {
        const outcome = await accounts.endLogins(required(request, 'name'))
        noteDone(request, outcome)
        return { outcome }
      })
      registerRobots(api, accounts.robots)
      api.get('/pins', async () => operator.pins.list())
      api.post('/pins/pin', async request => operator.pins.pin(required(request, 'pattern')))
      api.post('/pins/unpin', async request => operator.pins.unpin(required(request, 'pattern')))
    },
    { prefix: '/api/v1' },
  )
}

/** @throws RegistryError */
function readPart(text: string) {
  const part = parsePart(text)
  if (part !== undefined) return part
  throw new RegistryError('NAME_INVALID', '?read-data= is N/M, as 1/7')
}

function registerJobs(api: FastifyInstance, jobs: JobControl, carry: Carry): void {
  const { exports, imports, backups } = carry
  /** What operators call all of them together, beside the names of jobs. */
  const carried = new Map<string, typeof exports | typeof imports | typeof backups>([
    ['export', exports],
    ['import', imports],
    ['backup', backups],
  ])
  api.get(
    '/jobs',
    async (): Promise<ListedWork> => ({
      ...jobs.list(),
      exports: exports.list(),
      imports: imports.list(),
      backups: backups.list(),
    }),
  )
  api.post('/jobs/run', async (request, reply) => {
    const name = required(request, 'name')
    const dryRun = parameter(request, 'dry-run') === 'true'
    return sendEvents(reply, signal => jobs.run(name, { dryRun, signal }))
  })
  for (const control of ['pause', 'resume', 'cancel'] as const)
    api.post(`/jobs/${control}`, async request => {
      const name = required(request, 'name')
      return carried.get(name)?.[control]() ?? jobs[control](name)
    })
}

function registerRobots(api: FastifyInstance, robots: RobotsControl): void {
  const told = async (request: FastifyRequest, change: Promise<RobotAnswer>) => {
    const answer = await change
    noteDone(request, answer.kind)
    return answer
  }
  api.get('/robots', async () => robots.list())
  api.post('/robots/issue', async request => {
    const lifeMs = milliseconds(request, 'life')
    if (lifeMs > 0) return told(request, robots.issue(required(request, 'name'), lifeMs))
    throw new RegistryError('NAME_INVALID', '?life=0 makes a secret that nobody can log in by')
  })
  api.post('/robots/rotate', async request => {
    const overlapMs = milliseconds(request, 'overlap')
    return told(request, robots.rotate(required(request, 'name'), overlapMs))
  })
  api.post('/robots/revoke', async request =>
    told(request, robots.revoke(required(request, 'name'))),
  )
}

function entryId(request: FastifyRequest): number {
  const text = required(request, 'id')
  if (ENTRY_ID.test(text)) return Number(text)
  throw new RegistryError('NAME_INVALID', '?id= is the number of an entry, as the queue lists it')
}

/** A hundred years: longer is for ever, and no calendar goes on without end. */
export const ROBOT_TIME_MAX_MS = 100 * 365 * 24 * 3_600_000

/** Infinity: for ever. */
function milliseconds(request: FastifyRequest, name: string): number {
  const text = required(request, name)
  const value = text === '' ? Number.NaN : Number(text)
  if ((value >= 0 && value <= ROBOT_TIME_MAX_MS) || value === Infinity) return value
  const message = `?${name}= is a number of milliseconds, of 100 years at most, or Infinity`
  throw new RegistryError('NAME_INVALID', message)
}
