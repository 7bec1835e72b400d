// The file of accounts that is in force, and the look at whether it is still the same: operators
// and other programs change it as they like, with editors that write it in pieces, too. A faulty
// one leaves the old one in force.
import { readFile, stat } from 'node:fs/promises'
import { type Entry, type LineFault, parseHtpasswd } from '../access/htpasswd/parse.ts'

export interface AccountsFileDeps {
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  /** To be gone by from now on. Resolves when everybody does. */
  readonly changed: (entries: readonly Entry[]) => Promise<void>
  /** The one in force stays; told once for each state of the file. */
  readonly refused: (why: FileFault) => void
  /** The file is as it is in force, again. */
  readonly mended: () => void
}

export type FileFault =
  | { readonly kind: 'lines'; readonly faults: readonly LineFault[] }
  | { readonly kind: 'unreadable'; readonly error: unknown }

/** A look is one call of the system; what it finds is taken at the next, if it stands still. */
export const LOOKED_EVERY_MS = 1_000
/** As for all files that keys name. */
const LARGEST_FILE_BYTES = 4 * 2 ** 20

export class AccountsFile {
  readonly #deps: AccountsFileDeps
  #path: string | undefined
  /** In force. */
  #text: string
  /** Of the file that `#text` was in, or that was refused; undefined: nobody has looked. */
  #judged: string | undefined
  #isRefused = false
  #seen: string | undefined
  #looking: Promise<void> = Promise.resolve()

  /** `text`: in force already. */
  constructor(file: { readonly path: string; readonly text: string }, deps: AccountsFileDeps) {
    this.#path = file.path
    this.#text = file.text
    this.#deps = deps
  }

  /** The last look found it faulty, and what was in force before still is. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /** There is none any more: nothing is looked at until `replace`. */
  forget(): void {
    this.replace({ path: undefined, text: '' })
  }

  /** Another file, or the same read by somebody else, is in force. */
  replace({ path, text }: { readonly path: string | undefined; readonly text: string }): void {
    this.#path = path
    this.#text = text
    this.#judged = undefined
    this.#accept()
  }

  /** Looks again and again until `signal` aborts. Never rejects. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.sleep(LOOKED_EVERY_MS, signal).catch(() => {})
      if (!signal.aborted) await this.look('if it stands still').catch(() => {})
    }
  }

  /**
   * One look; one at a time. `now`: whoever asks has written it, so that it is whole.
   * @throws what `changed` throws: not everybody goes by it yet
   */
  look(when: 'if it stands still' | 'now'): Promise<void> {
    const look = this.#looking.then(() => this.#look(when))
    this.#looking = look.catch(() => {})
    return look
  }

  async #look(when: 'if it stands still' | 'now'): Promise<void> {
    const path = this.#path
    if (path === undefined) return
    const state = await stateOf(path)
    const isStill = state.mark === this.#seen
    this.#seen = state.mark
    if (state.mark === this.#judged || (when !== 'now' && !isStill)) return
    if (state.kind === 'failed') return this.#refuseUnread(state.mark, state.error)
    const text = await textOf(path)
    const after = await stateOf(path)
    this.#seen = after.mark
    // It has changed while it was read, or by a reload: the next look sees to that.
    if (after.mark !== state.mark || path !== this.#path) return
    if (text.kind === 'failed') return this.#refuseUnread(state.mark, text.error)
    await this.#judge(state.mark, text.text)
  }

  async #judge(mark: string, text: string): Promise<void> {
    if (text !== this.#text) {
      const { entries, faults } = parseHtpasswd(text)
      if (faults.length > 0) return this.#refuse(mark, { kind: 'lines', faults })
      this.#text = text
      await this.#deps.changed(entries)
    }
    this.#judged = mark
    this.#accept()
  }

  #refuse(mark: string, why: FileFault): void {
    this.#judged = mark
    this.#isRefused = true
    this.#deps.refused(why)
  }

  #refuseUnread(mark: string, error: unknown): void {
    this.#refuse(mark, { kind: 'unreadable', error })
  }

  #accept(): void {
    if (this.#isRefused) this.#deps.mended()
    this.#isRefused = false
  }
}

type State =
  | { readonly kind: 'file'; readonly mark: string }
  | { readonly kind: 'failed'; readonly mark: string; readonly error: unknown }

/** `mark`: another one for another file of that name, and whenever this one was written. */
async function stateOf(path: string): Promise<State> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return { kind: 'file', mark: [dev, ino, size, mtimeNs, ctimeNs].join(' ') }
  } catch (error) {
    return { kind: 'failed', mark: `failed ${codeOf(error)}`, error }
  }
}

type Text =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'failed'; readonly error: unknown }

async function textOf(path: string): Promise<Text> {
  try {
    const found = await stat(path)
    // A pipe or a device would hold this up.
    if (!found.isFile()) throw new Error('it is no regular file')
    if (found.size > LARGEST_FILE_BYTES) throw new Error('it is far too large')
    return { kind: 'text', text: await readFile(path, 'utf8') }
  } catch (error) {
    return { kind: 'failed', error }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
