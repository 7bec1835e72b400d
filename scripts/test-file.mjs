// Runs one test file as node itself would, but without hooks on what is asynchronous: tap follows
// each promise by one, to know which test an error belongs to that nobody caught. That took more
// than half of a simulation. Such an error now ends the file, which has failed then.
// usage: node scripts/test-file.mjs FILE
import asyncHooks from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const deaf = { enable: () => deaf, disable: () => deaf }
asyncHooks.createHook = () => deaf
syncBuiltinESMExports()
// The file finds the arguments that it would have by itself.
const [node, , file, ...others] = process.argv
process.argv = [node, resolve(file), ...others]
await import(pathToFileURL(process.argv[1]).href)
