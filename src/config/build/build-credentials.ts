// Who the edge is towards an upstream: passwords from files, environment or systemd, certificates,
// other programs.
import type { UpstreamConfig, UpstreamCredentials } from '../config.ts'
import type { Path } from '../findings.ts'
import { helperEnvironment } from './helper-environment.ts'
import type { Judge } from '../judge.ts'
import type { UpstreamSettings } from '../schema/schema.ts'
import { Secret } from '../secret.ts'

const ANONYMOUS: UpstreamCredentials = { kind: 'anonymous' }

/** At most one way may be given; a second one would be used or not without anybody knowing. */
export function buildCredentials(
  judge: Judge,
  path: Path,
  keys: UpstreamSettings,
): UpstreamCredentials {
  const { credentials, username, password, passwordfile } = keys
  const ownKeys = [username, password, passwordfile].filter(key => key !== undefined).length
  if (credentials === undefined) return ownKeys === 0 ? ANONYMOUS : buildPassword(judge, path, keys)
  const { dockerconfig, helper } = credentials
  const ways = [dockerconfig, helper, ownKeys > 0 || undefined].filter(
    way => way !== undefined,
  ).length
  if (ways > 1) {
    judge.note([...path, 'credentials'], {
      message: 'give one of username, credentials.dockerconfig and credentials.helper',
    })
  }
  const environment = () => helperEnvironment(judge.surroundings.env)
  if (helper !== undefined) return { kind: 'helper', name: helper, environment }
  if (dockerconfig !== undefined) {
    judge.readFile([...path, 'credentials', 'dockerconfig'], dockerconfig, 'secret')
    return { kind: 'docker config', path: dockerconfig, environment }
  }
  const base = [...path, 'credentials']
  if (!['dockerconfig', 'helper'].some(key => judge.isWritten([...base, key]))) {
    judge.note(base, { message: 'needs dockerconfig or helper' })
  }
  return ANONYMOUS
}

function buildPassword(judge: Judge, path: Path, keys: UpstreamSettings): UpstreamCredentials {
  const { username, password, passwordfile } = keys
  if (password !== undefined && passwordfile !== undefined) {
    judge.note([...path, 'password'], { message: 'give password or passwordfile, not both' })
  }
  if (password !== undefined && judge.placeOf([...path, 'password'])?.source === 'file') {
    const message = 'stands here for everybody who reads this file; use passwordfile'
    judge.note([...path, 'password'], { severity: 'warning', message })
  }
  const secret = passwordfile === undefined ? password : readPassword(judge, path, passwordfile)
  if (username === undefined) {
    if (!judge.isWritten([...path, 'username'])) {
      judge.note(path, { message: 'has a password and no username' })
    }
    return ANONYMOUS
  }
  if (!['password', 'passwordfile'].some(key => judge.isWritten([...path, key]))) {
    judge.note([...path, 'username'], { message: 'has no password: add passwordfile' })
  }
  return secret === undefined ? ANONYMOUS : { kind: 'password', username, password: secret }
}

function readPassword(judge: Judge, path: Path, name: string): Secret | undefined {
  const key = [...path, 'passwordfile']
  const text = judge.readFile(key, judge.credential(name), 'secret')
  if (text === undefined) return undefined
  const password = text.replace(/\r?\n$/, '')
  if (password !== '' && !/[\r\n]/.test(password)) return new Secret(password)
  judge.note(key, {
    message: password === '' ? 'names an empty file' : 'names a file with more than one line',
  })
  return undefined
}

/** The client certificate for mutual TLS. */
export function buildClient(
  judge: Judge,
  path: Path,
  keys: UpstreamSettings,
): UpstreamConfig['client'] {
  if (keys.client === undefined) return undefined
  const base = [...path, 'client']
  const certificate = judge.readCertificates([...base, 'certificate'], keys.client.certificate)
  const key = judge.readKey([...base, 'key'], keys.client.key)
  return certificate === undefined || key === undefined
    ? undefined
    : { certificate, key: new Secret(key) }
}

export function buildAuthorities(
  judge: Judge,
  path: Path,
  keys: UpstreamSettings,
): string | undefined {
  if (keys.ca === undefined) return undefined
  return judge.readCertificates([...path, 'ca'], keys.ca)
}
