// The key by which this edge signs bundles and inventories: made when it is asked for first, and
// kept in a file of the data directory, for its owner alone. Who has it from elsewhere could sign
// as this edge, so it is in no export, and a damaged one is never quietly replaced: receivers trust
// the old one.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { OwnFile } from '../accounts/tokens/own-file.ts'
import { type BundleSigner, createSigner } from '../bundle/bundle-key.ts'
import { RegistryError } from '../oci/errors.ts'

const NAME = 'bundle-key.json'

/** @returns what gives the signer, and @throws RegistryError where there is none to be had */
export function openBundleKey(rootDirectory: string): () => BundleSigner {
  const path = join(rootDirectory, NAME)
  let signer: BundleSigner | undefined
  return () => (signer ??= createSigner(readOrMake(path)))
}

function readOrMake(path: string): KeyObject {
  const file = new OwnFile(path, parse)
  const found = file.read()
  if (found.kind === 'read') return found.value
  if (found.kind === 'unusable') throw unusable(found.error)
  const { privateKey } = generateKeyPairSync('ed25519')
  try {
    file.write({ key: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64') })
  } catch (error) {
    throw new RegistryError('UNAVAILABLE', `the bundle key cannot be kept in ${path}`, {
      cause: error,
    })
  }
  return privateKey
}

/** @throws Error where it is not what this program writes */
function parse({ key }: Readonly<Record<string, unknown>>): KeyObject {
  const der = Buffer.from(String(key), 'base64')
  const privateKey = createPrivateKey({ key: der, type: 'pkcs8', format: 'der' })
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('it holds another key')
  return privateKey
}

function unusable(cause: unknown): RegistryError {
  const message =
    'the bundle key cannot be read: bring its file back from a backup, or move it away, and a new key is made that receivers have to be told'
  return new RegistryError('UNAVAILABLE', message, { cause })
}
