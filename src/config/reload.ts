// What a new configuration changes, by key: what takes effect at once and what only a restart
// brings.
import type { Config, Setting } from './config.ts'
import { formatPath, pathKey } from './findings.ts'

export interface ConfigChange {
  /** Keys that changed and take effect on a reload. An upstream that came or went is one entry. */
  readonly changed: readonly string[]
  /** Keys that changed and keep their old value until the process starts again. */
  readonly needsRestart: readonly string[]
}

/** Files that keys name (passwords, certificates) count with their content. */
export function compareConfigs(before: Config, after: Config): ConfigChange {
  const old = byKey(before)
  const now = byKey(after)
  const changed: string[] = []
  const needsRestart: string[] = []
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(key), now.get(key)]
    const setting = is ?? was
    if (
      setting === undefined ||
      (was !== undefined && is !== undefined && was.content.equals(is.content))
    )
      continue
    // The whole upstream came or went, and has its own entry.
    if (setting.path.length > 2 && setting.path[0] === 'upstreams' && !isInBoth(setting, old, now))
      continue
    if (setting.reloadable) changed.push(formatPath(setting.path))
    else needsRestart.push(formatPath(setting.path))
  }
  return { changed, needsRestart }
}

type SettingsByKey = ReadonlyMap<string, Setting>

function byKey(config: Config): SettingsByKey {
  return new Map(config.settings.map(setting => [pathKey(setting.path), setting]))
}

function isInBoth({ path }: Setting, old: SettingsByKey, now: SettingsByKey): boolean {
  const upstream = pathKey(path.slice(0, 2))
  return old.has(upstream) && now.has(upstream)
}
