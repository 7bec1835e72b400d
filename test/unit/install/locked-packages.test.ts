// Goal: an install is what the lock file says, and runs nothing of others. Method: the lock file,
// and what lies in node_modules.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

interface Locked {
  readonly version: string
  readonly integrity?: string
  readonly resolved?: string
  readonly hasInstallScript?: true
  readonly os?: unknown
  readonly optional?: true
  readonly engines?: unknown
}

const PROJECT = new URL('../../..', import.meta.url).pathname
const { packages } = readJson('package-lock.json') as { packages: Record<string, Locked> }
const { optionalDependencies } = readJson('package.json') as {
  readonly optionalDependencies: Readonly<Record<string, string>>
}

t.test('R280: everything that lies in node_modules is in the lock file', async t => {
  t.same(
    installed('node_modules').filter(path => packages[path] === undefined),
    [],
  )
})

t.test('R280: each package has its digest in the lock file, and no host', async t => {
  const { '': _, ...others } = packages
  for (const [path, { integrity, resolved }] of Object.entries(others)) {
    t.match(integrity, /^sha512-/, path)
    t.equal(resolved, undefined, path)
  }
})

t.test('R280: no package runs a script when it is installed', async t => {
  t.match(readFileSync(join(PROJECT, '.npmrc'), 'utf8'), /^ignore-scripts=true$/m)
  t.same(
    Object.keys(packages).filter(path => packages[path]?.hasInstallScript === true),
    [],
    'and none needs to',
  )
})

// Take the engines of such an entry out of the lock file when npm has written them: what runs it is
// the Node of the install.
t.test('R282: npm on an old Node leaves no package out', async t => {
  t.same(
    Object.keys(packages).filter(path => packages[path]?.optional && packages[path].engines),
    [],
    'it leaves out what is optional and wants a newer one',
  )
})

t.test('the Node of the install is one version, whatever the machine', async t => {
  const nodes = Object.entries(optionalDependencies).filter(([name]) => name.startsWith('node-'))
  t.ok(nodes.length > 1)
  t.equal(new Set(nodes.map(([, version]) => version)).size, 1)
  for (const [name, version] of nodes) {
    t.match(packages[`node_modules/${name}`], { version, os: /linux|darwin/ }, name)
  }
})

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(PROJECT, name), 'utf8'))
}

/** Every package below a node_modules directory, by its path from here. */
function installed(directory: string): string[] {
  if (!existsSync(join(PROJECT, directory))) return []
  return readdirSync(join(PROJECT, directory))
    .filter(name => !name.startsWith('.'))
    .flatMap(name => (name.startsWith('@') ? scoped(directory, name) : [join(directory, name)]))
    .flatMap(path => [path, ...installed(join(path, 'node_modules'))])
}

function scoped(directory: string, scope: string): string[] {
  return readdirSync(join(PROJECT, directory, scope)).map(name => join(directory, scope, name))
}
