// Which tests prove which requirement: read from the names of the tests, which begin with R
// numbers, and written as docs/protocol.md. A name counts where it is written, so a test that is
// listed is a test that runs.
import { fileURLToPath } from 'node:url'
import { REQUIREMENTS, type Requirement, type Side } from './requirements.ts'
import { readSources } from './source-text.ts'

export interface NamedTest {
  /** From the root of the repository. */
  readonly path: string
  /** The name without its numbers. */
  readonly sentence: string
  readonly requirements: readonly number[]
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

// A leading zero (R07) is another numbering, that of faults. 'R48: a sentence', 'R48, R54: a
// sentence', 'R29 (b): a sentence', in any quotes.
const NAME =
  /(['"`])(R[1-9]\d*(?:(?:, | and |–)R?[1-9]\d*| ?\([a-z]\))*): ((?:(?!\1)[^\\\n]|\\.)+)\1/g

/** Every test below test/ whose name carries a number, in the order of files and lines. */
export function readNamedTests(): readonly NamedTest[] {
  return readSources(ROOT, 'test')
    .filter(({ path }) => !path.startsWith('test/kit/'))
    .flatMap(({ path, withoutComments }) => {
      return Array.from(withoutComments.matchAll(NAME), ([, , numbers = '', sentence = '']) => ({
        path,
        sentence: sentence.replace(/\\(.)/g, '$1'),
        requirements: readNumbers(numbers),
      }))
    })
}

/** `R1, R3–R5` → 1, 3, 4, 5. */
function readNumbers(text: string): readonly number[] {
  return text.split(/, | and /).flatMap(part => {
    const [first = 0, last = first] = Array.from(part.matchAll(/\d+/g), Number)
    return Array.from({ length: Math.max(1, last - first + 1) }, (_, index) => first + index)
  })
}

/** The whole text of docs/protocol.md. */
export function renderProtocolDoc(): string {
  const tests = readNamedTests()
  return [
    '# Protocol requirements and their tests',
    '',
    'What clients and upstreams may rely on, and where it is proven. Generated from `test/kit/requirements.ts` and the names of the',
    'tests by `npm run docs`. P0: without it a mainstream client breaks, or data or credentials leak.',
    '',
    ...renderSide(tests, 'pull'),
    '## Of pushes',
    '',
    ...renderSide(tests, 'push'),
  ].join('\n')
}

function renderSide(tests: readonly NamedTest[], side: Side): readonly string[] {
  const rows = REQUIREMENTS.filter(requirement => requirement.side === side)
  const cells = rows.map(requirement => renderRow(requirement, tests))
  return ['| | | what must hold | tests |', '|---|---|---|---|', ...cells, '']
}

function renderRow({ id, priority, title }: Requirement, tests: readonly NamedTest[]): string {
  const files = new Set(tests.filter(test => test.requirements.includes(id)).map(test => test.path))
  const links = Array.from(files, path => `[${path.slice('test/'.length)}](../${path})`)
  return `| R${id} | ${priority} | ${title} | ${links.join('<br>')} |`
}
