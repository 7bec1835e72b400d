// `npm start`: builds when needed, then runs the command line; without arguments, or with options
// of `serve` only, that is `serve`.
import { writeSync } from 'node:fs'
import { buildIfNeeded } from './build.mjs'

const [first] = process.argv.slice(2)
const ofAll = ['--help', '-h', '--version', '-v']
if (first === undefined || (first.startsWith('-') && !ofAll.includes(first)))
  process.argv.splice(2, 0, 'serve')
if (process.argv[2] === 'serve' && isUnderDyingNpm()) {
  console.error(
    'entrepot: not started: standard output takes nothing, at which npm ends, and the server would be left behind; make room, or start it by ' +
      `"npm start --silent -- ${process.argv.slice(2).join(' ')}" or "entrepot serve", which go on without a log`,
  )
  process.exit(1)
}
buildIfNeeded()
await import('../dist/main.js')

/**
 * npm says what it runs before it does so, unless it is told to be silent, and ends when that
 * cannot be written.
 */
function isUnderDyingNpm() {
  const { npm_lifecycle_event: event, npm_config_loglevel: loglevel } = process.env
  if (event !== 'start' || loglevel === 'silent') return false
  try {
    writeSync(process.stdout.fd, '\n')
    return false
  } catch (error) {
    // A pipe whose reader is slow: npm waits, too.
    return error.code !== 'EAGAIN'
  }
}
