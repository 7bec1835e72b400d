// A password as commands take it: the first line of standard input, or typed twice at a terminal,
// which shows none of it. Never an argument: those are everybody's to read.
import { BCRYPT_MAX_BYTES } from '../access/htpasswd/limits.ts'
import { type CliContext, CliError, EXIT_CODES, type InputStream } from './context.ts'

/** What comes without a line break is no password: its end is not waited for. */
const READ_MAX_BYTES = 64 * 1024

/** @throws CliError where it is none that can be kept */
export async function readPassword(
  context: Pick<CliContext, 'stdin' | 'stderr'>,
  name: string,
): Promise<string> {
  const stdin = context.stdin()
  const password =
    stdin.isTTY === true ? await readTwice(context, stdin, name) : await readPiped(stdin)
  const wrong = whyNotKept(password)
  if (wrong !== undefined) throw new CliError(EXIT_CODES.failed, wrong)
  return password
}

/** bcrypt reads no more: another password with the same beginning would be good, too. */
function whyNotKept(password: string): string | undefined {
  if (password === '') return 'a password has at least one character'
  if (Buffer.byteLength(password) > BCRYPT_MAX_BYTES)
    return `a password has at most ${BCRYPT_MAX_BYTES} bytes: bcrypt does not look at the rest`
  // No client can send it (RFC 7617, section 2).
  return /\p{Cc}/u.test(password) ? 'a password has no control characters' : undefined
}

async function readPiped(stdin: InputStream): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    chunks.push(chunk)
    bytes += chunk.length
    if (chunk.includes(LINE_FEED) || bytes > READ_MAX_BYTES) break
  }
  const [line = ''] = decode(Buffer.concat(chunks)).split('\n', 1)
  return line.replace(/\r$/, '')
}

async function readTwice(
  { stderr }: Pick<CliContext, 'stderr'>,
  stdin: InputStream,
  name: string,
): Promise<string> {
  const line = typedLines(stdin)
  stdin.setRawMode?.(true)
  try {
    stderr.write(`New password for ${name}: `)
    const password = await line()
    stderr.write('\nAgain: ')
    const again = await line()
    if (password === again) return password
    throw new CliError(EXIT_CODES.failed, 'these are two different passwords: nothing is changed')
  } finally {
    stdin.setRawMode?.(false)
    stderr.write('\n')
  }
}

const LINE_FEED = 0x0a
const RETURN = 0x0d
const INTERRUPT = 0x03
const END = 0x04
const ERASE_LINE = 0x15
const BACKSPACES: readonly number[] = [0x08, 0x7f]

/** Gives one after the other: a raw terminal leaves all keys but letters to who reads. */
function typedLines(stdin: InputStream): () => Promise<string> {
  const bytes = each(stdin)
  return async () => {
    let line: number[] = []
    for (;;) {
      const { value: byte, done } = await bytes.next()
      if (done === true || byte === INTERRUPT || byte === END)
        throw new CliError(EXIT_CODES.failed, 'no password: nothing is changed')
      if (byte === LINE_FEED || byte === RETURN) return decode(Buffer.from(line))
      if (byte === ERASE_LINE) line = []
      else if (BACKSPACES.includes(byte)) line = withoutLast(line)
      else if (line.length < READ_MAX_BYTES) line.push(byte)
    }
  }
}

async function* each(stdin: InputStream): AsyncGenerator<number, void> {
  for await (const chunk of stdin) yield* chunk
}

/** A character, which may be several bytes. */
function withoutLast(line: readonly number[]): number[] {
  const text = Buffer.from(line).toString('utf8')
  return [...Buffer.from(text.replace(/.$/su, ''))]
}

/** @throws CliError where it is no UTF-8, as which clients send it */
function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CliError(EXIT_CODES.failed, 'a password is written in UTF-8')
  }
}
