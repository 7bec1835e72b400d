// `npm start`: builds when needed, then runs the command line; without arguments, or with options of `serve` only, that is `serve`.
import { buildIfNeeded } from './build.mjs'

buildIfNeeded()
const [first] = process.argv.slice(2)
const ofAll = ['--help', '-h', '--version', '-v']
if (first === undefined || (first.startsWith('-') && !ofAll.includes(first)))
  process.argv.splice(2, 0, 'serve')
await import('../dist/main.js')
