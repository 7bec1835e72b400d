// The keys of `import`: what is taken in of what comes in files.
import { BUNDLE_KEY } from '../formats/bundle-key-format.ts'
import { valuesOf } from './keys.ts'

export const IMPORT_KEYS = {
  trustedkeys: valuesOf(BUNDLE_KEY, {
    as: 'trustedKeys',
    description:
      'Keys of edges, as `entrepot key show` prints them there: what none of them has signed is not imported. Empty: whoever signed it is told, and who may import decides.',
    default: [],
    reload: true,
  }),
}
