// A registry that has images for whoever shows credentials, and those by which it knows a user.
import { makeImage } from '../image.ts'
import { NAME, type Teardown } from '../open-upstream.ts'
import { startStub, type StubOptions } from './stub-registry.ts'

export const PASSWORD = 'canary-password'
export const BASIC = { kind: 'basic', username: 'user', password: () => PASSWORD } as const
export const BEARER = { scheme: 'bearer' } as const

export async function startWithImages(t: Teardown, options: StubOptions) {
  const image = makeImage({ seed: 'auth', layers: [10] })
  const stub = await startStub(t, options)
  stub.addImage(NAME, 'latest', image)
  stub.addImage('library/other', 'latest', image)
  return stub
}
