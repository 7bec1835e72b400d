// Goal: a catalog with epochs keeps the port's contract. Method: the shared suite.
import t from 'tap'
import { createMemoryCatalog } from '../kit/memory/catalog.ts'
import { createEpochs } from '../../src/registry/epochs.ts'
import { catalogContract } from './catalog.ts'

catalogContract(t, async () => createMemoryCatalog({ epochs: createEpochs() }))
