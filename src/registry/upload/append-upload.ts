// end-5 and the body of end-6: a piece of an upload, appended where the last one ended (R102–R104).
// What arrived before a client went away counts (R110), and so does what came before a piece turned
// out longer or shorter than announced: it is at its place, and the digest has the last word.
import { RegistryError } from '../../oci/errors.ts'
import { rangeLength } from '../../oci/range.ts'
import type { Repository } from '../../oci/reference.ts'
import { type UploadChunk, UploadOrderError, type UploadState } from '../answers.ts'
import { BlobStream } from './forward-blob.ts'
import { freeChunk } from '../ports/chunk-memory.ts'
import { StoreError } from '../ports/store-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type PushRules, type PushWay, requirePush } from '../refusals/push-refusal.ts'
import { claimOf, NOTHING_MORE } from '../space/claim.ts'
import type { SpaceLedger } from '../space/ledger.ts'
import type { GiveUp } from '../space/make-room.ts'
import { RoomAhead } from '../space/room-ahead.ts'
import { unlessAborted, untilAborted } from '../../async/aborting.ts'
import { NONE, type OpenUpload } from './upload.ts'
import { withFullDiskErrors } from './upload-refusal.ts'
import type { Uploads } from './uploads.ts'

export interface AppendDeps extends PushRules {
  readonly note: NoteEvent
  readonly clock: Clock
  readonly uploads: Uploads
  readonly space: SpaceLedger
}

const PUSH = { from: 'client' } as const
const NO_EFFECT = (): void => {}

/**
 * @throws UploadOrderError; RegistryError BLOB_UPLOAD_UNKNOWN, SIZE_INVALID, DENIED, UNAVAILABLE;
 * what the body throws
 */
export async function appendUpload(
  deps: AppendDeps,
  repository: Repository,
  { id, chunk }: { id: string; chunk: UploadChunk },
): Promise<UploadState> {
  const way = requirePush(deps, repository)
  return withFullDiskErrors(deps.note, () =>
    deps.uploads.write(repository, id, async open => {
      checkPlace(open.upload.state, chunk)
      streamOf(open, repository, way)
      await appendChunk(deps, open, chunk)
      return open.upload.state
    }),
  )
}

/**
 * How many bytes the piece brings, if it says so.
 * @throws UploadOrderError; RegistryError SIZE_INVALID
 */
export function checkPlace(
  state: UploadState,
  { range, lengthBytes }: UploadChunk,
): number | undefined {
  if (range === undefined) return lengthBytes
  const { sizeBytes } = state
  if (range.first !== sizeBytes) {
    throw new UploadOrderError(
      `this upload has ${sizeBytes} bytes: the next piece begins at ${sizeBytes}, not at ${range.first}`,
      state,
    )
  }
  const rangeBytes = rangeLength(range)
  if (lengthBytes === undefined || lengthBytes === rangeBytes) return rangeBytes
  throw new RegistryError(
    'SIZE_INVALID',
    `Content-Length says ${lengthBytes} bytes and Content-Range ${rangeBytes}`,
  )
}

/**
 * The upload's way up to the upstream, undefined where it stays here. One that would begin in the
 * middle takes nothing: its blob is sent from disk at the end.
 */
export function streamOf(
  { upload }: OpenUpload,
  { name }: Repository,
  way: PushWay,
): BlobStream | undefined {
  if (way.mode !== 'forward') return undefined
  if (upload.stream !== undefined) return upload.stream
  const stream = new BlobStream(way.namespace.upstream, name)
  if (upload.sizeBytes === 0) upload.stream = stream
  return stream
}

/**
 * Appends all of the piece; it is in the file when this resolves, or as much of it as came when
 * this rejects. After a failure of the disk the upload is gone: what such a file holds is anybody's
 * guess, and on a full disk it would hold the room that others need.
 * @throws as appendUpload; StoreError
 */
export async function appendChunk(
  deps: AppendDeps,
  open: OpenUpload,
  chunk: UploadChunk,
): Promise<void> {
  const { upload } = open
  const expectedBytes = checkPlace(upload.state, chunk)
  try {
    // Before a byte is read, so that a client that waits for `100 Continue` need not send what
    // there is no room for (R126).
    if (upload.owesRoom) await orEnd(deps, upload, makeAfter(deps, open))
    const room = await admit(deps, open, expectedBytes)
    await received(deps, open, { body: chunk.body, expectedBytes, room })
  } finally {
    upload.missingBytes = 0
    upload.roomBytes = NONE
    upload.pace.rest()
    upload.stream?.pause(deps.clock)
  }
}

/** Promises room for what is announced; it is made as bytes come. @throws StoreError full */
async function admit(
  deps: AppendDeps,
  open: OpenUpload,
  expectedBytes: number | undefined,
): Promise<RoomAhead> {
  const { space } = deps
  const { upload } = open
  const bytes = expectedBytes ?? 0
  const room = new RoomAhead(space, PUSH, giveUpOf(deps, open))
  room.begin({ hereBytes: 0, wholeBytes: bytes })
  if (expectedBytes === 0) return room
  await space.admit(claimOf({ ...PUSH, bytes }), foundBytes => {
    room.found(foundBytes)
    upload.missingBytes = bytes
    upload.roomBytes = () => room.roomBytes(bytes - upload.missingBytes)
  })
  return room
}

/** Who was told to leave waits no longer, and the upload is another request's or the next one's. */
function giveUpOf({ uploads }: AppendDeps, { upload, signal }: OpenUpload): GiveUp {
  return error => (signal.aborted ? undefined : uploads.end(upload, error))
}

/**
 * Room for what came of a length that nobody knows, if others were not promised it.
 * @throws StoreError full; the signal's reason
 */
async function makeAfter(deps: AppendDeps, open: OpenUpload): Promise<void> {
  const { upload, signal } = open
  upload.owesRoom = true
  await unlessAborted(makeNow(deps, open), signal)
  upload.owesRoom = false
}

async function makeNow(deps: AppendDeps, open: OpenUpload): Promise<void> {
  const { space } = deps
  const nothing = { ...PUSH, bytes: 0 }
  // First what is there, by turns: of two that bring too much together one goes on.
  await space.make(nothing, NO_EFFECT, giveUpOf(deps, open))
  await space.admit(NOTHING_MORE, NO_EFFECT)
}

interface Coming {
  readonly body: UploadChunk['body']
  readonly expectedBytes: number | undefined
  readonly room: RoomAhead
}

function received(deps: AppendDeps, open: OpenUpload, coming: Coming): Promise<void> {
  const { upload, file } = open
  const receiving = receive(deps, open, coming).finally(() => upload.isOver || file.flush())
  return orEnd(deps, upload, receiving)
}

/** Where the disk fails there is nothing to go on with. */
async function orEnd(
  { uploads }: AppendDeps,
  upload: OpenUpload['upload'],
  work: Promise<void>,
): Promise<void> {
  try {
    await work
  } catch (error) {
    if (error instanceof StoreError) await uploads.end(upload, error)
    throw error
  }
}

async function receive(
  deps: AppendDeps,
  open: OpenUpload,
  { body, expectedBytes, room }: Coming,
): Promise<void> {
  const { space, clock } = deps
  const { upload, file, signal } = open
  const limitBytes = expectedBytes ?? Number.POSITIVE_INFINITY
  let cameBytes = 0
  upload.pace.wait(clock.monotonicMs())
  for await (const piece of untilAborted(body, signal)) {
    upload.pace.came(piece.length, clock.monotonicMs())
    const fitting = piece.subarray(0, limitBytes - cameBytes)
    const fittingBytes = fitting.length
    const isTooMuch = fittingBytes < piece.length
    const made = room.taking(fittingBytes)
    if (made !== undefined) await unlessAborted(made, signal)
    await file.append(fitting)
    cameBytes += fittingBytes
    upload.missingBytes = Math.max(0, upload.missingBytes - fittingBytes)
    // A newer request need not wait for an upstream that stands still.
    if (upload.stream !== undefined) await unlessAborted(upload.stream.send(fitting), signal)
    else freeChunk(piece)
    if (isTooMuch) throw otherSize(limitBytes, 'more')
    if (expectedBytes === undefined && space.unsaid.isDue(fittingBytes)) await makeAfter(deps, open)
    upload.pace.wait(clock.monotonicMs())
  }
  if (expectedBytes !== undefined && cameBytes < expectedBytes) {
    throw otherSize(expectedBytes, `${cameBytes}`)
  }
}

function otherSize(expectedBytes: number, came: string): RegistryError {
  return new RegistryError(
    'SIZE_INVALID',
    `${expectedBytes} bytes were announced and ${came} came: the upload goes on from what its status says`,
  )
}
