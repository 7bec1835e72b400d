// Goal: the catalog in memory keeps the port's contract. Method: the shared suite.
import t from 'tap'
import { createMemoryCatalog } from '../kit/memory/catalog.ts'
import { catalogContract } from './catalog.ts'

catalogContract(t, async () => createMemoryCatalog())
