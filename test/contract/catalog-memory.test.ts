// Goal: the catalog in memory keeps the port's contract. Method: the shared suite.
import t from 'tap'
import { createMemoryCatalog } from '../../src/catalog/memory.ts'
import { catalogContract } from './catalog.ts'

catalogContract(t, async () => createMemoryCatalog())
