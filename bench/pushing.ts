// Pushes by a process of their own, from a file in memory, so that no server is measured by the
// disk that the client reads from.
import { spawn } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { patternBlob } from '../test/kit/content.ts'
import { noteProcess } from './ledger.ts'
import type { PushResult } from './push-process.ts'

export const MEBIBYTE = 1024 * 1024
/**
 * The file is this pattern again and again, marked in every mebibyte, which is the smallest blob.
 */
const CHUNK_BYTES = 16 * MEBIBYTE
const PROCESS = fileURLToPath(new URL('push-process.ts', import.meta.url))

export interface Blobs {
  readonly sizeBytes: number
  readonly blobs: number
  readonly atOnce: number
}

/** Removed where the block ends: `using`. */
export interface PushFile extends Disposable {
  /** New content in place of what was there. The same seed is the same content. */
  write(seed: string, blobs: Blobs): void
  /** Pushes all of it into `repository` of `url`. */
  push(url: string, repository: string, blobs: Blobs): Promise<PushResult>
}

/** `directory` gives the file its name. */
export function openPushFile(directory: string): PushFile {
  const file = join('/dev/shm', `${directory.replaceAll('/', '-').slice(1)}-push`)
  const remove = () => rmSync(file, { force: true })
  process.once('exit', remove)
  return {
    write: (seed, { sizeBytes, blobs }) => {
      const total = sizeBytes * blobs
      const chunk = patternBlob(`push/${seed}`, CHUNK_BYTES).bytes()
      const descriptor = openSync(file, 'w')
      for (let at = 0; at < total; at += chunk.length) {
        for (let mark = 0; mark < chunk.length; mark += MEBIBYTE) {
          chunk.writeDoubleBE(at + mark, mark)
        }
        writeSync(descriptor, chunk, 0, Math.min(chunk.length, total - at))
      }
      closeSync(descriptor)
    },
    push: async (url, repository, { sizeBytes, atOnce }) => {
      const args = [PROCESS, url, repository, file, String(sizeBytes), String(atOnce)]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      if (child.pid !== undefined) noteProcess(child.pid)
      let text = ''
      for await (const part of child.stdout.setEncoding('utf8')) text += String(part)
      return JSON.parse(text) as PushResult
    },
    [Symbol.dispose]: remove,
  }
}
