// Files that are in force together, and the look at whether they are still the same: operators and
// other programs change them as they like, with editors that write them in pieces, and one after
// the other. Faulty ones leave the old ones in force.
import { stat } from 'node:fs/promises'
import { readLocalFile } from './local-file.ts'

export interface WatchedFile {
  readonly path: string
  /** In force already. */
  readonly text: string
}

export type Judged<Value, Fault> =
  | { readonly kind: 'good'; readonly value: Value }
  | { readonly kind: 'faulty'; readonly fault: Fault }

export type FilesFault<Fault> =
  | { readonly kind: 'faulty'; readonly fault: Fault }
  | { readonly kind: 'unreadable'; readonly path: string; readonly reason: string }

export interface WatchedFilesDeps<Value, Fault> {
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  /** What the files hold now, in the order of theirs. MUST NOT throw. */
  readonly judge: (texts: readonly string[]) => Judged<Value, Fault>
  /** To be gone by from now on. Resolves when everybody does. */
  readonly changed: (value: Value) => Promise<void>
  /** Those in force stay; told once for each state of the files. */
  readonly refused: (why: FilesFault<Fault>) => void
  /** The files are as they are in force, again. */
  readonly mended: () => void
}

/**
 * A look is one call of the system for each; what it finds is taken once it stands still. Not a
 * whole second: other waits are that long, and on a clock that is turned by hand nobody could tell
 * which of them has begun.
 */
export const LOOKED_EVERY_MS = 900
/** Who changes them so often while they are read has them always half changed. */
const TRIES_MAX = 10

export class WatchedFiles<Value, Fault> {
  readonly #deps: WatchedFilesDeps<Value, Fault>
  /** In force. */
  #files: readonly WatchedFile[]
  /** Of the files that these were in, or that were refused; undefined: nobody has looked. */
  #judged: string | undefined
  #isRefused = false
  #seen: string | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(files: readonly WatchedFile[], deps: WatchedFilesDeps<Value, Fault>) {
    this.#files = files
    this.#deps = deps
  }

  /** The last look found them faulty, and what was in force before still is. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /** Others, or the same read by somebody else, are in force. None: nothing is looked at. */
  replace(files: readonly WatchedFile[]): void {
    this.#files = files
    this.#judged = undefined
    this.#accept()
  }

  /** Looks again and again until `signal` aborts. Never rejects. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.sleep(LOOKED_EVERY_MS, signal).catch(() => {})
      if (!signal.aborted) await this.look('if they stand still').catch(() => {})
    }
  }

  /**
   * One look; one at a time. `now`: whoever asks has written them, so that they are whole, and what
   * they hold is in force when this resolves, or was refused.
   * @throws what `changed` throws: not everybody goes by it yet. By `now` also where they were
   * others at each try
   */
  look(when: 'if they stand still' | 'now'): Promise<void> {
    const look = this.#looking.then(() => this.#look(when))
    this.#looking = look.catch(() => {})
    return look
  }

  async #look(when: 'if they stand still' | 'now'): Promise<void> {
    if (when === 'if they stand still') {
      const before = this.#seen
      const mark = await markOf(this.#files)
      this.#seen = mark
      // The next look sees to those that change while they are read.
      if (mark === before && mark !== this.#judged) await this.#read()
      return
    }
    for (let time = 0; time < TRIES_MAX; time += 1) if (await this.#read()) return
    const paths = this.#files.map(({ path }) => path)
    throw new Error(`${paths.join(', ')}: changed each time while being read`)
  }

  /** @returns false: they have changed while they were read, or by a reload */
  async #read(): Promise<boolean> {
    const files = this.#files
    if (files.length === 0) return true
    const mark = await markOf(files)
    const found = files.map(({ path }) => ({ path, ...readLocalFile(path) }))
    const after = await markOf(files)
    this.#seen = after
    if (after !== mark || files !== this.#files) return false
    const texts: string[] = []
    for (const file of found) {
      if (file.kind === 'failed') {
        this.#refuse(mark, { kind: 'unreadable', path: file.path, reason: file.reason })
        return true
      }
      texts.push(file.text)
    }
    await this.#judge(mark, texts)
    return true
  }

  async #judge(mark: string, texts: readonly string[]): Promise<void> {
    if (texts.some((text, at) => text !== this.#files[at]?.text)) {
      const judged = this.#deps.judge(texts)
      if (judged.kind === 'faulty') return this.#refuse(mark, judged)
      this.#files = this.#files.map(({ path }, at) => ({ path, text: texts[at] ?? '' }))
      await this.#deps.changed(judged.value)
    }
    this.#judged = mark
    this.#accept()
  }

  #refuse(mark: string, why: FilesFault<Fault>): void {
    this.#judged = mark
    this.#isRefused = true
    this.#deps.refused(why)
  }

  #accept(): void {
    if (this.#isRefused) this.#deps.mended()
    this.#isRefused = false
  }
}

/** Another one for other files of these names, and whenever one was written. */
async function markOf(files: readonly WatchedFile[]): Promise<string> {
  const marks = await Promise.all(files.map(({ path }) => markOfOne(path)))
  return marks.join('\n')
}

async function markOfOne(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch (error) {
    return `failed ${error instanceof Error && 'code' in error ? String(error.code) : String(error)}`
  }
}
