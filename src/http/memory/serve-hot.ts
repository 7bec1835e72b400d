// A request whose answer is in memory, from its head to the line about it: of node's two objects
// only what the answer needs, and no promise, but for a large blob that is open still.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Access, Principal } from '../../access/access.ts'
import type { CreateNoteHit } from '../../observe/note-hit.ts'
import type { Registry } from '../../registry/use-cases.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Answer } from '../answer.ts'
import { endAnswer, isDelivered } from '../end-answer.ts'
import type { Exchange } from '../exchange.ts'
import type { HotAnswer, HotAnswers, HotMiss, HotBlob } from './hot-answers.ts'
import { type HotRequest, readHotRequest } from './hot-request.ts'
import { HOT_PULL_NOTED_MS, HOT_READ_NOTED_MS } from '../limits.ts'
import type { RequestPrincipal } from '../principal.ts'
import type { TakePlaceNow } from '../places/place.ts'
import type { Caller } from '../proxies/callers.ts'
import { BlobSender, type BlobSenderDeps } from '../send/blob-sender.ts'
import { AGE, ageText, headLines, ID_AT } from '../send/send-answer.ts'
import { sendBlob } from '../send/send-blob.ts'

export interface HotDeps extends BlobSenderDeps {
  readonly answers: HotAnswers
  readonly createNote: CreateNoteHit
  readonly access: Access
  readonly registry: Pick<
    Registry,
    'findOpen' | 'createNoteUse' | 'notePull' | 'noteRead' | 'policyOf'
  >
  readonly takePlaceNow: TakePlaceNow
  readonly clock: Clock
}

export interface FoundHot {
  readonly kind: 'hit'
  readonly answer: HotAnswer
  readonly request: HotRequest
  readonly principal: RequestPrincipal
  /** Of a large blob: what sends it. */
  readonly sender: BlobSender | undefined
}

export interface SendHot {
  readonly requestId: string
  /** Monotonic. */
  readonly startedMs: number
  readonly client: string | undefined
  /** Called once, with everything written down. */
  readonly over: () => void
}

const HEAD_IS_WRITTEN = () => {}

export class Hot {
  readonly #deps: HotDeps

  constructor(deps: HotDeps) {
    this.#deps = deps
  }

  /**
   * An answer to give now, by `send`; or a miss, to `offer` an answer for; undefined
   * for requests that memory is not for.
   */
  find(
    request: IncomingMessage,
    response: ServerResponse,
    { caller, principal }: Pick<Exchange, 'caller' | 'principal'>,
  ): FoundHot | HotMiss | undefined {
    const { answers, clock } = this.#deps
    const hot = caller.unclear === undefined ? readHotRequest(request, caller) : undefined
    if (hot === undefined) return undefined
    const answer = answers.find(hot.key, clock.nowMs())
    if (answer.kind === 'miss') return answer
    if (!this.#mayBeGiven(answer, request, principal)) return undefined
    const found = { kind: 'hit', answer, request: hot, principal } as const
    if (answer.blob === undefined) return { ...found, sender: undefined }
    const sender = this.#senderOf(answer.blob, response, caller)
    return sender && { ...found, sender }
  }

  /** Writes it whole. */
  send(response: ServerResponse, found: FoundHot, more: SendHot): void {
    const { answer, request, principal: by, sender } = found
    const { clock } = this.#deps
    const { requestId, startedMs, client, over } = more
    const { head, status, body, ageAt, idAt } = answer
    const nowMs = clock.nowMs()
    let isOver = false
    const end = () => {
      if (isOver) return
      isOver = true
      const delivered = isDelivered(response) ? 'completed' : 'aborted'
      const { sentBytes, failure: error } = sender ?? {}
      const outcome = error === undefined ? delivered : 'failed'
      const durationMs = clock.monotonicMs() - startedMs
      const { userAgent } = request
      answer.note({ requestId, durationMs, client, userAgent, outcome, sentBytes, error, by })
      over()
    }
    // The first is the usual end; the second alone a connection that broke. Not by `once`, which
    // would make three objects for each.
    response.on('finish', end)
    response.on('close', end)
    head[idAt] = requestId
    if (ageAt >= 0) head[ageAt] = ageText(nowMs - answer.repeatable.sinceMs)
    response.writeHead(status, head)
    if (sender === undefined) endAnswer(response, body)
    // Whoever reads it meets what goes wrong at its end.
    else sendBlob(sender, { writeHead: HEAD_IS_WRITTEN, clock }).catch(() => {})
    answer.noteUse?.(nowMs)
    this.#notePull(answer, nowMs, client)
    this.#noteRead(answer, nowMs)
  }

  /** The answer that was found for `exchange.hot`, before it is sent. */
  offer(exchange: Exchange, answer: Answer): void {
    const { hot, record, request } = exchange
    const { content, status, body } = answer
    if (body.kind === 'blob') hot?.noteLength(body.sizeBytes)
    if (hot?.isWanted !== true || content?.repeatable === undefined) return
    const blob = this.#deps.sendfile && blobOf(answer)
    if (body.kind === 'blob' && blob === undefined) return
    const bytes = body.kind === 'bytes' && request.method !== 'HEAD' ? body.bytes : undefined
    const head = headLines(exchange, answer, false)
    const { endpoint, repository, reference, source } = record
    const facts = { method: request.method ?? '', endpoint, repository, reference, source }
    const sentBytes = blob?.sizeBytes ?? bytes?.length ?? 0
    hot.keep({
      status,
      head,
      idAt: ID_AT,
      ageAt: ageIn(head),
      body: bytes,
      blob,
      digest: content.digest,
      repeatable: content.repeatable,
      pulledFrom: content.pulledFrom,
      note: this.#deps.createNote({ ...facts, status, sentBytes }),
      noteUse: content.used && this.#deps.registry.createNoteUse(content.used),
    })
  }

  /**
   * To who asks. Who may not, and of whom that takes a closer look, goes the usual way, on which
   * nothing tells that there is an answer. What a HEAD is told is kept of those alone who may not
   * push there.
   */
  #mayBeGiven({ repository }: HotAnswer, request: IncomingMessage, principal: Principal): boolean {
    const { access, registry } = this.#deps
    if (access.decideNow(principal, repository, 'pull') !== true) return false
    if (request.method !== 'HEAD' || registry.policyOf(repository).push === 'deny') return true
    return access.decideNow(principal, repository, 'push') === false
  }

  /**
   * A large blob that is open still from who asked for it before. Undefined when it is not to be
   * had at once, or anything is out of the ordinary: then the request goes the usual way.
   */
  #senderOf(
    { repository, digest }: HotBlob,
    response: ServerResponse,
    { address }: Caller,
  ): BlobSender | undefined {
    const { registry, takePlaceNow } = this.#deps
    const blob = registry.findOpen(repository, digest)
    if (blob === undefined) return undefined
    const { file, sizeBytes } = blob
    // Where nobody has read, the disk may fail, which can be told as an error before the head
    // alone.
    const isReady = file?.readyBytes === sizeBytes && file.isProven?.(0) === true
    if (!isReady || takePlaceNow(response, address) === 'none') {
      // Whoever reads it sees to what goes wrong at its end.
      blob.close().catch(() => {})
      return undefined
    }
    const segments = [{ range: { first: 0, last: sizeBytes - 1 } }]
    return new BlobSender(response, { kind: 'blob', blob, segments, sizeBytes }, this.#deps)
  }

  #notePull(answer: HotAnswer, nowMs: number, client: string | undefined): void {
    const { pulledFrom, digest } = answer
    if (pulledFrom === undefined || client === undefined) return
    if (nowMs - answer.pulledAtMs < HOT_PULL_NOTED_MS) return
    answer.pulledAtMs = nowMs
    this.#deps.registry.notePull(pulledFrom, digest, client)
  }

  /** Whoever reads one blob of an image may want the others. */
  #noteRead(answer: HotAnswer, nowMs: number): void {
    if (answer.blob === undefined || nowMs - answer.pulledAtMs < HOT_READ_NOTED_MS) return
    answer.pulledAtMs = nowMs
    this.#deps.registry.noteRead(answer.blob.repository, answer.digest)
  }
}

/** Undefined of what is not the whole of a blob. */
function blobOf({ body, content }: Answer): HotBlob | undefined {
  const repository = content?.readFrom
  if (body.kind !== 'blob' || content === undefined || repository === undefined) return undefined
  return { repository, digest: content.digest, sizeBytes: body.sizeBytes }
}

/** Names and values take turns. */
function ageIn(head: readonly string[]): number {
  for (let at = 0; at < head.length; at += 2) if (head[at] === AGE) return at + 1
  return -1
}
