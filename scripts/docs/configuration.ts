// docs/configuration.md, rendered from the schema: the table of keys is never written by hand.
import { DOCKER_HUB_ALIASES, WELL_KNOWN_HOSTS } from '../../src/config/built-in.ts'
import { variableOf } from '../../src/config/environment.ts'
import { ANY_KEY, isAnyKey, type KeySchema, listKeys } from '../../src/config/schema/keys.ts'
import { KEY_SCHEMA, LATER_KEYS } from '../../src/config/schema/schema.ts'

/** Markdown, with a newline at its end. The same for the same schema. */
export function renderConfigurationDoc(): string {
  return [
    INTRODUCTION,
    ...Object.entries(KEY_SCHEMA.properties ?? {}).flatMap(([key, schema]) => section(key, schema)),
    LATER,
    VALUES,
    FRESHNESS,
    REPOSITORIES,
    SECRETS,
    ENVIRONMENT,
    RELOAD,
    EXAMPLES,
  ]
    .join('\n\n')
    .concat('\n')
}

function section(key: string, schema: KeySchema): string[] {
  const rows = [
    ...(isLeaf(schema) ? rowsOf([key], schema) : []),
    ...[...listKeys(schema, [key])]
      .filter(entry => isLeaf(entry.schema))
      .flatMap(entry => rowsOf(entry.path, entry.schema)),
  ]
  const about = isLeaf(schema) ? [] : [schema.description ?? '']
  return [
    `## \`${key}\``,
    ...about,
    rows.length === 0 ? 'It has no keys.' : [HEAD, ...rows].join('\n'),
  ]
}

const HEAD =
  '| key | value | default | on reload | variable | meaning |\n| --- | --- | --- | --- | --- | --- |'

function isLeaf(schema: KeySchema): boolean {
  return schema['x-format'] !== undefined || schema.items !== undefined
}

/** A list of groups takes a row for itself and one for each key of a group. */
function rowsOf(path: readonly string[], schema: KeySchema): string[] {
  if (schema.properties !== undefined)
    return Object.entries(schema.properties).flatMap(([key, child]) =>
      rowsOf([...path, key], child),
    )
  const inner = Object.entries(schema.items?.properties ?? {})
  const name = path.at(-1) ?? ''
  return [
    row(path, schema),
    ...inner.flatMap(([key, child]) => rowsOf([...path.slice(0, -1), `${name}[]`, key], child)),
  ]
}

function row(path: readonly string[], schema: KeySchema): string {
  const reload = schema['x-reload'] === true ? 'yes' : 'restart'
  const cells = [
    `\`${path.join('.')}\``,
    typeOf(schema),
    defaultOf(schema),
    reload,
    variableCell(path),
    schema.description ?? '',
  ]
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

/** Keys inside a list have no variable: the list is set as a whole. */
function variableCell(path: readonly string[]): string {
  if (path.some(step => step.endsWith('[]'))) return ''
  if (!path.includes(ANY_KEY) && path.some(isAnyKey)) return ''
  const variable = variableOf(path.map(step => (step === ANY_KEY ? 'HOST' : step)))
  return `\`${variable.replace('_HOST_', '_<HOST>_')}\``
}

function typeOf(schema: KeySchema): string {
  const name = schema['x-format']?.name
  if (name !== undefined) return withRange(name, schema)
  const items = schema.items?.['x-format']?.name
  return items === undefined ? 'list of maps' : `list of ${items}s`
}

function withRange(name: string, schema: KeySchema): string {
  const format = schema['x-format']
  const { 'x-at-least': least, 'x-at-most': most } = schema
  if (format === undefined || (least === undefined && most === undefined)) return name
  const from = least === undefined ? '' : `from ${format.format(least)}`
  const to = most === undefined ? '' : `to ${format.format(most)}`
  return `${name}, ${[from, to].filter(part => part !== '').join(' ')}`
}

function defaultOf(schema: KeySchema): string {
  if (schema['x-default-text'] !== undefined) return schema['x-default-text']
  const text = schema['x-default']
  if (text === undefined) return ''
  return `\`${typeof text === 'string' ? text : JSON.stringify(text)}\``
}

const INTRODUCTION = `# Configuration

<!-- Generated from src/config/schema/schema.ts by \`npm run docs\`. Change it there. -->

Entrepot runs without any configuration. What you write goes into one YAML file: \`entrepot serve --config FILE\`,
or \`ENTREPOT_CONFIG=FILE\`. \`entrepot check --config FILE\` finds every fault at once, each with line, column
and what was probably meant; \`entrepot schema\` prints a JSON Schema for your editor. Unknown keys are errors.

[\`config/entrepot.yaml\`](../config/entrepot.yaml) has every key at its default.

Without configuration, pulls go to Docker Hub when a name carries no registry host, and to one of these registries when it
carries theirs:

${WELL_KNOWN_HOSTS.map(host => `\`${host}\``).join(', ')}

An \`upstreams\` key in the file replaces this list. Docker Hub has other names, which mean \`docker.io\` in the configuration as in
requests:

${DOCKER_HUB_ALIASES.map(host => `\`${host}\``).join(', ')}

\`localhost\` is what is kept at this edge, and can be no upstream.

The upstream \`"*"\` opens the edge for any public registry that a client names, also those you never heard of. It
takes the keys that are not about one registry. They hold for those that only it allows, never for \`localhost\`. Those
have 64 downloads at once, all together.

A key whose column *on reload* says *yes* takes effect on \`SIGHUP\`; *restart* means that it waits for one.`

const LATER = `## Not in this version yet

These keys are refused by name: ${[...LATER_KEYS].map(key => `\`${key}\``).join(', ')}.`

const VALUES = `## Values

**Durations** are numbers with units \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`: \`30s\`, \`5m\`, \`1h30m\`, \`1.5h\`, \`30d\`. \`0\` needs no unit.
\`forever\` has no end. A bare number is refused.

**Sizes** are numbers with units \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\` (steps of 1024) or \`kB\`, \`MB\`, \`GB\`, \`TB\` (steps of 1000); a bare
number is bytes. \`10G\` is refused, because it means one thing to some and the other to others. **Shares** are \`80%\`.

**Addresses** to listen on are \`:5000\` (all addresses), \`127.0.0.1:5000\`, \`[::1]:5000\`. Port 0 lets the system choose.

**Patterns** are over repository names *inside* their registry, without its host: \`library/**\`. \`*\` stays inside one component,
\`**\` crosses slashes, \`?\` is one character, \`{a,b}\` and \`[0-9]\` are choices. A pattern that is \`*\` alone means everything.

**Tag patterns** are \`<repository pattern>:<tag pattern>\`. \`@\` in place of the colon means the same, and never a digest: a digest
does not go stale. \`"*:latest"\`, \`"*@release-*"\`, \`library/**:1.*\`. YAML wants quotes around what begins with \`*\` or \`@\`.

**Repository patterns** are over canonical repositories, \`host/name\`: \`docker.io/library/**\`, \`localhost/**\`, \`registry.example.com:5000/*\`.
A host has one name here: \`docker.io\`, not \`index.docker.io\`, and \`localhost\` without a port, also for the own names of the edge.
A pattern that is \`*\` alone means everything.

**Pin patterns** are what \`entrepot pin\` and \`entrepot purge\` take, too: a repository pattern, for all that is in them;
with a colon and a tag pattern behind it, \`docker.io/library/*:3.*\`; with \`@\` and a digest; or a digest alone.

**Paths** that are relative start at the working directory of the process.`

const FRESHNESS = `## Freshness

A tag's answer is *fresh* for its \`ttl\`. In the grace after it — as long again, at most one minute — the old answer is given at
once while one request to the upstream checks it. Later than that, and always with \`ttl: 0\`, the client waits for that check, and gets
the new content; or the old with a \`Warning\` when the upstream failed and the last confirmation is no older than \`maxstale\`. When the
upstream says that the tag is gone or forbidden, so does the edge. With \`offline: true\` the upstream is never asked. Where the tag
moved and the newer image is not here whole, the last one that was whole is given, with a \`Warning\`, while the upstream fails
(up to \`maxstale\`) or may not be asked. Content asked for by digest cannot change and is never checked again.

The \`ttl\` of the first matching entry of \`tags\` counts, else that of the upstream, else \`freshness.ttl\`.`

const REPOSITORIES = `## Pushes and deletes

The first entry of \`repositories\` whose \`match\` fits decides what may be done with a repository. After the operator's own come two
that are built in: \`localhost/**\` with \`push: store\`, and \`**\` with \`push: deny\`.

| \`push\` | a push is acknowledged | afterwards |
| --- | --- | --- |
| \`store\` | when it is durable here | it is kept here, and no upstream is asked about what was pushed |
| \`forward\` | when the upstream has accepted it; its refusal is the client's | it is content of the upstream like any other |
| \`queue\` | when it is durable here, with its entry in the queue | it is delivered, in order for each repository, when the upstream is there, and can be pulled here at once |
| \`deny\` | never: 403, with the way out | |

\`localhost\` has no upstream: where a pattern is wide enough to match it, \`forward\` and \`queue\` mean \`store\` there. Credentials of
an upstream are used for pushes as for pulls; they need the right to push.

[operations.md](operations.md) says who may push, what happens when a push fails, and how the queue is looked after.`

const SECRETS = `## Secrets

A password comes from a file (\`passwordfile\`), from the environment (\`ENTREPOT_UPSTREAMS_DOCKER_IO_PASSWORD\`), or from another
program (\`credentials\`). There is no command line option for it, and a URL with a user name in it is refused. A \`password\` in the
configuration file works and is warned about, as is a secret file that every user of the machine can read. Secrets are shown as
\`[secret]\` wherever the configuration is printed.

\`passwordfile: hub\`, a name without a slash, is looked up in the directory that systemd makes for
\`LoadCredential=hub:/etc/entrepot/hub.password\` (\`$CREDENTIALS_DIRECTORY/hub\`); without systemd it is a file in the working directory. A
command of root beside the running unit finds what the unit was given. Before its first start, \`CREDENTIALS_DIRECTORY=/etc/entrepot entrepot
check\` looks for a file \`/etc/entrepot/hub\`.

What the edge reads with its own account becomes visible to whoever may read at the edge.`

const ENVIRONMENT = `## Environment

Every key can be set by a variable that overrides the file: \`ENTREPOT_\` and the key's path, in capitals, with \`_\` for every other
character.

| key | variable |
| --- | --- |
${['http.addr', 'storage.maxsize', 'freshness.ttl'].map(key => `| \`${key}\` | \`${variableOf(key.split('.'))}\` |`).join('\n')}
| \`upstreams.docker.io.ttl\` | \`${variableOf(['upstreams', 'docker.io', 'ttl'])}\` |
| \`upstreams.10.0.0.1:5000.http\` | \`${variableOf(['upstreams', '10.0.0.1:5000', 'http'])}\` |

The host in a variable is one of the upstreams in the file or one of the well-known registries, which is then added to the file's
list. Other upstreams come with
\`ENTREPOT_UPSTREAMS='{registry.example.com: {}}'\`: a variable for a map or a list holds YAML, and a list of plain values may also be
written with commas. An empty variable counts as not set. A variable that is no key gives a warning.

\`ENTREPOT_CONFIG\` names the file. \`ENTREPOT_NATIVE=off\` keeps the server from loading what was compiled when it was installed
(\`native/\`): every byte then passes through Node. \`ENTREPOT_TOKEN\` is what commands with \`--admin\` show to an edge elsewhere. \`HTTPS_PROXY\`, \`HTTP_PROXY\` and \`NO_PROXY\` have their usual meaning for upstreams without \`proxy\`.`

const RELOAD = `## Reload

\`SIGHUP\` reads file, environment and the files that keys name again. When anything in it is wrong, nothing changes and the log
says what; otherwise the log names the keys that took effect and those that wait for a restart, which \`entrepot status\` shows until it
comes. Password and certificate files count with their content: a new password needs no restart. What systemd hands over
(\`LoadCredential=\`) is a copy that it makes at the start of the unit: there a new password or certificate takes \`systemctl restart\`, and a
reload sees no change.`

const EXAMPLES = `## Examples

* [\`config/docker-hub-mirror.yaml\`](../config/docker-hub-mirror.yaml): a mirror of Docker Hub alone, with an account
* [\`config/many-registries.yaml\`](../config/many-registries.yaml): many registries, a private one among them
* [\`config/offline-site.yaml\`](../config/offline-site.yaml): a site whose link is often or always down
* [\`config/queued-pushes.yaml\`](../config/queued-pushes.yaml): a site that pushes to a central registry, also while its line is down`
