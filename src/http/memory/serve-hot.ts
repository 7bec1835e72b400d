// A request whose answer is in memory, from its head to the line about it: no promise, no timer,
// and of node's two objects only what the answer needs.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Access } from '../../access/access.ts'
import type { CreateNoteHit } from '../../observe/note-hit.ts'
import type { Registry } from '../../registry/use-cases.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Answer } from '../answer.ts'
import { endAnswer, isDelivered } from '../send/end-answer.ts'
import type { ConnectionOwners } from '../connection-owners.ts'
import type { Exchange } from '../exchange.ts'
import type { HotAnswer, HotAnswers, HotQuestion, KeptBlob } from './hot-answers.ts'
import { type HotRequest, readHotRequest } from './hot-request.ts'
import { HOT_PULL_NOTED_MS, HOT_READ_NOTED_MS, HOT_USE_NOTED_MS } from '../limits.ts'
import type { BlobSending } from '../send/blob-sending.ts'
import { AGE, headLines, ID_AT } from '../send/send-answer.ts'
import { sendBlob } from '../send/send-blob.ts'
import type { OpenKept } from '../send/send-kept.ts'

export interface HotDeps {
  readonly answers: HotAnswers
  readonly createNote: CreateNoteHit
  readonly access: Access
  readonly owners: ConnectionOwners
  readonly registry: Pick<Registry, 'noteUse' | 'notePull' | 'noteRead'>
  /** Undefined where the kernel sends no files: large blobs go the usual way then. */
  readonly openKept: OpenKept | undefined
  readonly clock: Clock
}

export interface FoundHot {
  readonly answer: HotAnswer
  readonly asked: HotRequest
  /** Of a large blob: what sends it. */
  readonly kept: BlobSending | undefined
}

export interface Hot {
  /**
   * An answer to give now; or what to ask and then to `offer` an answer for; undefined for requests
   * that memory is not for.
   */
  find(request: IncomingMessage, response: ServerResponse): FoundHot | HotQuestion | undefined
  /** Writes it whole. `over` is called once, with how it ended and everything written down. */
  send(response: ServerResponse, found: FoundHot, more: SendHot): void
  /** The answer that was found for `exchange.hot`, before it is sent. */
  offer(exchange: Exchange, answer: Answer): void
}

export interface SendHot {
  readonly requestId: string
  /** Monotonic. */
  readonly startedMs: number
  readonly client: string | undefined
  readonly over: () => void
}

const MS_PER_SECOND = 1_000

export function createHot(deps: HotDeps): Hot {
  const { answers, createNote, registry, openKept, clock } = deps

  function noteUse(answer: HotAnswer, nowMs: number): void {
    if (nowMs - answer.notedAtMs < HOT_USE_NOTED_MS) return
    answer.notedAtMs = nowMs
    registry.noteUse(answer.digest)
  }

  function notePull(answer: HotAnswer, nowMs: number, client: string | undefined): void {
    const { pulledFrom, digest } = answer
    if (pulledFrom === undefined || client === undefined) return
    if (nowMs - answer.pulledAtMs < HOT_PULL_NOTED_MS) return
    answer.pulledAtMs = nowMs
    registry.notePull(pulledFrom, digest, client)
  }

  /** Whoever reads one blob of an image may want the others. */
  function noteRead(answer: HotAnswer, nowMs: number): void {
    if (answer.kept === undefined || nowMs - answer.pulledAtMs < HOT_READ_NOTED_MS) return
    answer.pulledAtMs = nowMs
    registry.noteRead(answer.kept.repository, answer.digest)
  }

  return {
    find(request, response) {
      const asked = readHotRequest(request, deps)
      if (asked === undefined) return undefined
      const answer = answers.find(asked.key, clock.nowMs())
      if (!('status' in answer)) return answer
      if (answer.kept === undefined) return { answer, asked, kept: undefined }
      const kept = openKept?.(answer.kept, response)
      return kept && { answer, asked, kept }
    },
    send(response, { answer, asked, kept }, { requestId, startedMs, client, over }) {
      const { head, status, body, ageAt, idAt } = answer
      const nowMs = clock.nowMs()
      let isOver = false
      const end = () => {
        if (isOver) return
        isOver = true
        const delivered = isDelivered(response) ? 'completed' : 'aborted'
        const { sentBytes, failure: error } = kept ?? {}
        const outcome = error === undefined ? delivered : 'failed'
        const durationMs = clock.monotonicMs() - startedMs
        const { userAgent } = asked
        answer.note({ requestId, durationMs, client, userAgent, outcome, sentBytes, error })
        over()
      }
      // The first is the usual end; the second alone a connection that broke.
      response.once('finish', end)
      response.once('close', end)
      head[idAt] = requestId
      if (ageAt >= 0) head[ageAt] = ageText(nowMs - answer.repeatable.sinceMs)
      response.writeHead(status, head)
      if (kept === undefined) endAnswer(response, body)
      // Whoever reads it meets what goes wrong at its end.
      else sendBlob(kept, { writeHead: () => {}, clock }).catch(() => {})
      noteUse(answer, nowMs)
      notePull(answer, nowMs, client)
      noteRead(answer, nowMs)
    },
    offer(exchange, answer) {
      const { hot, record, request } = exchange
      const { content, status, body } = answer
      if (body.kind === 'blob') hot?.noteLength(body.sizeBytes)
      if (hot?.isWanted !== true || content?.repeatable === undefined) return
      const kept = openKept && keptOf(answer)
      if (body.kind === 'blob' && kept === undefined) return
      const bytes = body.kind === 'bytes' && request.method !== 'HEAD' ? body.bytes : undefined
      const head = headLines(exchange, answer, false)
      const { endpoint, repository, reference, source } = record
      const facts = { method: request.method ?? '', endpoint, repository, reference, source }
      hot.keep({
        status,
        head,
        idAt: ID_AT,
        ageAt: ageIn(head),
        body: bytes,
        kept,
        digest: content.digest,
        repeatable: content.repeatable,
        pulledFrom: content.pulledFrom,
        note: createNote({ ...facts, status, sentBytes: kept?.sizeBytes ?? bytes?.length ?? 0 }),
      })
    },
  }
}

/** Undefined of what is not the whole of a blob. */
function keptOf({ body, content }: Answer): KeptBlob | undefined {
  const repository = content?.readFrom
  if (body.kind !== 'blob' || content === undefined || repository === undefined) return undefined
  return { repository, digest: content.digest, sizeBytes: body.sizeBytes }
}

function ageText(ageMs: number): string {
  return String(Math.max(0, Math.floor(ageMs / MS_PER_SECOND)))
}

/** Names and values take turns. */
function ageIn(head: readonly string[]): number {
  for (let at = 0; at < head.length; at += 2) if (head[at] === AGE) return at + 1
  return -1
}
