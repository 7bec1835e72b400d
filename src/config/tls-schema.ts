// The keys of `http.tls`: which certificates clients are shown.
import { PATH } from './formats.ts'
import { group, groupsOf, value } from './keys.ts'
import { TLS_VERSION } from './word-formats.ts'

const PAIR_KEYS = {
  certificate: value(PATH, {
    description:
      'File with the certificate (PEM), followed by those that signed it; or the name of a systemd credential. A change of it or of the key is taken up within seconds; with faulty ones those of before stay in force.',
    reload: true,
  }),
  key: value(PATH, {
    description:
      'File with the private key (PEM), not encrypted; or the name of a systemd credential.',
    reload: true,
  }),
}

export const TLS_KEYS = {
  ...PAIR_KEYS,
  certificates: groupsOf(group('A certificate and its key.', PAIR_KEYS), {
    description:
      'Further certificates: a client is shown the first one that is for the name that it calls, also by a pattern as `*.example.com`, and `certificate` where none is, or it names none.',
    default: [],
    reload: true,
  }),
  minimumtls: value(TLS_VERSION, {
    description: 'The oldest version of TLS that clients may use.',
    default: 'tls1.2',
    reload: true,
  }),
}
