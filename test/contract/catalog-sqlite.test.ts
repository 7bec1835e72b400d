// Goal: the SQLite catalog keeps the port's contract. Method: the shared suite, each test in a
// directory of its own.
import t from 'tap'
import { createEpochs } from '../../src/registry/epochs.ts'
import { openSqliteCatalog } from '../../src/catalog/sqlite/open.ts'
import { createManualClock } from '../kit/manual-clock.ts'
import { catalogContract } from './catalog.ts'

let made = 0
catalogContract(t, async t => {
  const directory = t.testdir({}) + `/${made++}`
  const catalog = await openSqliteCatalog({
    directory,
    clock: createManualClock(),
    note() {},
    epochs: createEpochs(),
  })
  t.teardown(() => catalog.close())
  return catalog
})
