// Platforms as commands are told them.
import { CliError, EXIT_CODES } from './context.ts'

export const DEFAULT_PLATFORM = 'linux/amd64'
/** `os/architecture` or `os/architecture/variant`, as an image index has them. */
const PLATFORM = /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9_.-]+)?$/

/** Without any, the default one. @throws CliError usage for what is no platform */
export function platformsFrom(platforms: readonly string[]): readonly string[] {
  for (const platform of platforms) {
    if (PLATFORM.test(platform)) continue
    throw new CliError(
      EXIT_CODES.usage,
      `--platform "${platform}" is not OS/ARCH or OS/ARCH/VARIANT, such as ${DEFAULT_PLATFORM}`,
    )
  }
  return platforms.length === 0 ? [DEFAULT_PLATFORM] : platforms
}
