// Lists of images as everybody has them: a name on each line, or what is rendered for a cluster,
// whose `image:` lines are taken. Names in them are read as container tools read them: without a
// registry they are Docker Hub's.
import { readFile } from 'node:fs/promises'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'

/** Of manifests and values of charts, in YAML and in JSON; a template is none. */
const IMAGE_LINE = /^\s*(?:-\s+)?["']?image["']?:\s*["']?([^\s"',{}]+)["']?\s*,?\s*(?:#.*)?$/
const COMMENT = /(?:^|\s)#.*$/
/** Whole charts of whole clusters are some megabytes. */
const LIST_MAX_BYTES = 64 * 1024 * 1024

/** Each once, in their order. `-`: standard input. @throws CliError where it cannot be read */
export async function readImageList(path: string, context: CliContext): Promise<readonly string[]> {
  const text = path === '-' ? await readInput(context) : await readList(path)
  const images = imagesIn(text)
  if (images.length > 0) return images
  throw new CliError(EXIT_CODES.usage, `${path}: no image is named there`)
}

/** Where any line has an `image:`, those count alone. */
export function imagesIn(text: string): readonly string[] {
  const lines = text.split(/\r?\n/)
  const inYaml = lines.map(line => IMAGE_LINE.exec(line)?.[1]).filter(each => each !== undefined)
  const listed = lines.map(line => line.replace(COMMENT, '').trim()).filter(line => line !== '')
  return [...new Set((inYaml.length > 0 ? inYaml : listed).map(asHub))]
}

/** As every container tool completes it. */
function asHub(image: string): string {
  const [first = '', ...more] = image.split('/')
  if (more.length === 0) return `docker.io/library/${image}`
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost'
  return isHost ? image : `docker.io/${image}`
}

async function readInput(context: CliContext): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of context.stdin()) {
    bytes += chunk.length
    if (bytes > LIST_MAX_BYTES) throw new CliError(EXIT_CODES.usage, 'the list is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function readList(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    throw new CliError(EXIT_CODES.usage, `--images: ${path} cannot be read`)
  }
}
