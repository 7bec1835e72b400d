// Goal: facts on a file system keep the FactStore contract. Method: the suite, over a directory
// that tap removes.
import t from 'tap'
import { factName } from '../../src/store/fact-text.ts'
import { sharedStoreDirectory } from '../kit/disk/store-directory.ts'
import { factsContract } from './facts.ts'

const emptyDirectory = sharedStoreDirectory(t)

factsContract(t, async () => {
  const directory = await emptyDirectory()
  return {
    facts: await directory.openFacts(),
    reopen: catalog => directory.openFacts(catalog),
    spoil: (identity, text) => directory.lay(directory.path('facts', factName(identity)), text),
    events: directory.events,
  }
})
