// For admin listeners of which nobody asks for anything that is carried out.
import type { Carry } from '../../../src/registry/carry/carry.ts'
import { Backups } from '../../../src/registry/carry/backups.ts'
import { Exports } from '../../../src/registry/carry/exports.ts'
import { Held } from '../../../src/registry/carry/held.ts'
import type { FsckControl } from '../../../src/registry/fsck/run-fsck.ts'
import { WatchedImports } from '../../../src/registry/carry/watched-imports.ts'

const unasked = () => {
  throw new Error('nobody asks for this')
}

export const NO_CARRY: Carry = {
  key: unasked,
  inventory: unasked,
  exports: new Exports({ held: new Held(), signer: unasked, released: () => {} } as never),
  imports: new WatchedImports({ held: new Held(), released: () => {} } as never),
  backups: new Backups({ held: new Held(), signer: unasked, released: () => {} } as never),
}

export const NO_FSCK: FsckControl = { run: unasked }
