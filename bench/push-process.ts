// A process that pushes blobs as fast as the server takes them: `node push-process.ts URL
// REPOSITORY FILE SIZE AT_ONCE`. The file is cut into blobs of SIZE bytes; their digests are
// computed before the clock starts. Prints one line of JSON.
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'

export interface PushResult {
  /** From the first request to the last 201. */
  readonly seconds: number
  readonly blobs: number
  /** Answers that were not what the protocol wants; the first of them in words. */
  readonly failures: readonly string[]
}

const READ_BYTES = 1024 * 1024

interface Piece {
  readonly start: number
  readonly sizeBytes: number
  readonly digest: string
}

async function piecesOf(file: string, sizeBytes: number): Promise<readonly Piece[]> {
  const pieces: Piece[] = []
  for (let start = 0; start < statSync(file).size; start += sizeBytes) {
    const hash = createHash('sha256')
    const end = start + sizeBytes - 1
    for await (const chunk of createReadStream(file, { start, end, highWaterMark: READ_BYTES }))
      hash.update(chunk as Buffer)
    pieces.push({ start, sizeBytes, digest: `sha256:${hash.digest('hex')}` })
  }
  return pieces
}

async function answerOf(outgoing: ReturnType<typeof request>): Promise<IncomingMessage> {
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  return response
}

async function pushPiece(
  place: { url: string; repository: string; file: string; agent: Agent },
  piece: Piece,
): Promise<void> {
  const { url, repository, file, agent } = place
  const post = request(`${url}/v2/${repository}/blobs/uploads/`, {
    method: 'POST',
    agent,
    headers: { 'content-length': 0 },
  })
  post.end()
  const begun = await answerOf(post)
  if (begun.statusCode !== 202) throw new Error(`POST: ${begun.statusCode}`)
  const location = new URL(begun.headers.location ?? '', url)
  location.searchParams.set('digest', piece.digest)
  const put = request(location, {
    method: 'PUT',
    agent,
    headers: { 'content-length': piece.sizeBytes, 'content-type': 'application/octet-stream' },
  })
  const answer = answerOf(put)
  const end = piece.start + piece.sizeBytes - 1
  const [{ statusCode }] = await Promise.all([
    answer,
    pipeline(createReadStream(file, { start: piece.start, end, highWaterMark: READ_BYTES }), put),
  ])
  if (statusCode !== 201) throw new Error(`PUT: ${statusCode}`)
}

async function main(): Promise<void> {
  const [url = '', repository = '', file = '', size = '', atOnce = ''] = process.argv.slice(2)
  const agent = new Agent({ keepAlive: true })
  const pieces = await piecesOf(file, Number(size))
  const waiting = [...pieces]
  const failures: string[] = []
  const startMs = performance.now()
  await Promise.all(
    Array.from({ length: Number(atOnce) }, async () => {
      for (let piece = waiting.shift(); piece !== undefined; piece = waiting.shift()) {
        await pushPiece({ url, repository, file, agent }, piece).catch((error: unknown) =>
          failures.push(String(error)),
        )
      }
    }),
  )
  const seconds = (performance.now() - startMs) / 1000
  agent.destroy()
  const result: PushResult = { seconds, blobs: pieces.length, failures: failures.slice(0, 3) }
  console.log(JSON.stringify(result))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
