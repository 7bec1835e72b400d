// The job `purge` (registry/purge/purge.ts), which only operators begin, and say what it is about.
import { RegistryError } from '../oci/errors.ts'
import type { AskedJob, JobArgs } from '../registry/job.ts'
import { formatSelector, type Selector, selectorOf } from '../registry/pins/selectors.ts'
import type { PurgeOptions, PurgeResult } from '../registry/purge/purge.ts'

type Purge = (selector: Selector, options: PurgeOptions) => Promise<PurgeResult>

/** What `workOf` takes. */
export interface PurgeArgs {
  readonly selector: Selector
  /** Also what was pushed here. Default false. */
  readonly kept?: boolean
}

export function createPurgeJob(purge: Purge): AskedJob {
  return {
    name: 'purge',
    workOf: args => {
      const { selector, kept = false } = readArgs(args)
      return {
        about: `${kept ? 'also kept ' : ''}${formatSelector(selector)}`,
        run: run => purge(selector, { ...run, kept }),
      }
    },
  }
}

function readArgs({ selector: given, kept }: JobArgs): PurgeArgs {
  const selector = selectorOf(given)
  if (selector !== undefined) return { selector, kept: kept === true }
  const message = 'purge has to be told of what: "entrepot purge PATTERN" does'
  throw new RegistryError('NAME_INVALID', message)
}
