// `npm start`: builds when needed, then runs the command line; without arguments, or with options only, that is `serve`.
import { buildIfNeeded } from './build.mjs'

await buildIfNeeded()
const [first] = process.argv.slice(2)
if (first === undefined || first.startsWith('-')) process.argv.splice(2, 0, 'serve')
await import('../dist/main.js')
