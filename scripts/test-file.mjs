// Runs one test file as node itself would, but without hooks on what is asynchronous: tap follows
// each promise by one, to know which test an error belongs to that nobody caught. That took more
// than half of a simulation. Such an error now ends the file, which has failed then.
// At its end it says how much processor time it took, for whoever wants a suite to be quicker.
// usage: node scripts/test-file.mjs FILE
import asyncHooks from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { registerHooks, syncBuiltinESMExports } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** In /proc, on every Linux that node runs on. */
const TICK_MS = 10

const deaf = { enable: () => deaf, disable: () => deaf }
asyncHooks.createHook = () => deaf
syncBuiltinESMExports()
process.on('exit', () => {
  const ms = processorMs()
  if (ms !== undefined) console.log(`# processor time=${ms}ms`)
})
// Where tap is in one file (bundle-tap.mjs), for this process alone.
const { TAP_URL: url } = process.env
delete process.env.TAP_URL
if (url !== undefined) {
  const tap = { url, format: 'module', shortCircuit: true }
  registerHooks({
    resolve: (specifier, context, next) => (specifier === 'tap' ? tap : next(specifier, context)),
  })
}
// The file finds the arguments that it would have by itself.
const [node, , file, ...others] = process.argv
process.argv = [node, resolve(file), ...others]
await import(pathToFileURL(process.argv[1]).href)

/**
 * Of this process, and of those that it started and that have ended. Undefined where the kernel
 * does not tell.
 */
function processorMs() {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    // After the name: utime, stime and those of children, in ticks.
    const times = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 16)
    return times.reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0)
  } catch {
    return undefined
  }
}
