// Writes an Answer to its connection: the only place that does. Headers that every answer carries
// are added here.
import type { Clock } from '../../registry/ports/clock.ts'
import { type Answer, type AnswerHeaders, isPrintable } from '../answer.ts'
import { endAnswer } from '../end-answer.ts'
import { type Exchange, hasBody } from '../exchange.ts'
import { dropBody } from '../body/request-body.ts'
import { BlobSender, type BlobSenderDeps } from './blob-sender.ts'
import { sendBlob } from './send-blob.ts'

export interface SendDeps extends BlobSenderDeps {
  readonly clock: Clock
  /** The process is stopping: connections end with their answer (R236). */
  readonly draining: () => boolean
}

/**
 * Resolves when everything was handed to the connection, or when that is gone.
 * @throws whatever kept the answer from being begun: until then another answer can take its place.
 */
export async function sendAnswer(
  exchange: Exchange,
  answer: Answer,
  deps: SendDeps,
): Promise<void> {
  const { response, request, record } = exchange
  const { body } = answer
  const unwanted = hasBody(request) && exchange.body.read !== 'whole'
  const close = unwanted || deps.draining()
  const writeHead = () => {
    if (answer.reason !== undefined) response.statusMessage = answer.reason
    response.writeHead(answer.status, headLines(exchange, answer, close))
  }
  if (body.kind === 'blob') {
    const sender = new BlobSender(response, body, deps)
    record.sender = sender
    return sendBlob(sender, { writeHead, clock: deps.clock })
  }

  if (response.destroyed) return
  writeHead()
  const bytes = body.kind === 'bytes' && request.method !== 'HEAD' ? body.bytes : undefined
  record.sentBytes = bytes?.length ?? 0
  if (!unwanted) {
    endAnswer(response, bytes)
    return
  }
  // Node would keep the head back until the end.
  if (bytes === undefined) response.flushHeaders()
  else response.write(bytes)
  await dropBody(exchange, deps.clock)
  endAnswer(response)
}

/** Where the value of X-Request-Id stands in headLines. */
export const ID_AT = 3
/** The one header that time alone changes. */
export const AGE = 'Age'

/** Its value: whole seconds, and never less than none, should the clock have been set back. */
export function ageText(ageMs: number): string {
  return String(Math.max(0, Math.floor(ageMs / MS_PER_SECOND)))
}

const MS_PER_SECOND = 1_000

/**
 * Name and value in turn, as node takes them with the least work.
 * @throws TypeError for a value that is no header text
 */
export function headLines(exchange: Exchange, answer: Answer, close: boolean): string[] {
  const lines = [
    'Docker-Distribution-API-Version',
    'registry/2.0',
    'X-Request-Id',
    exchange.requestId,
  ]
  const add = (name: string, value: string) => {
    if (!isPrintable(value)) throw new TypeError(`value of ${name} is no header text`)
    lines.push(name, value)
  }
  for (const [name, value] of Object.entries(withCommon(exchange, answer, close))) {
    if (typeof value === 'string') add(name, value)
    else if (value !== undefined) for (const line of value) add(name, line)
  }
  return lines
}

function withCommon(exchange: Exchange, answer: Answer, close: boolean): AnswerHeaders {
  return {
    'OCI-Namespace': exchange.record.namespace,
    'Content-Length': lengthOf(answer),
    Connection: close ? 'close' : undefined,
    ...answer.headers,
  }
}

function lengthOf({ body }: Answer): string | undefined {
  switch (body.kind) {
    case 'none':
      return undefined
    case 'bytes':
      return String(body.bytes.length)
    case 'length':
    case 'blob':
      return String(body.sizeBytes)
  }
}
