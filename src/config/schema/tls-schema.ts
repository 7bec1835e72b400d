// The keys of `http.tls`: which certificates clients are shown.
import { PATH } from '../formats/formats.ts'
import { group, groupsOf, value, valuesOf } from './keys.ts'
import { NAME_FIELD, TLS_VERSION } from '../formats/word-formats.ts'

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
  clientcas: valuesOf(PATH, {
    description:
      'Files with the certificates (PEM) of authorities whose client certificates are gone by: rules of `access` call whoever shows one `cert:` and its name. Nobody has to show one; one that is not good is refused. Changes are taken up as those of `certificate`, and end what was begun with certificates of before.',
    default: [],
    reload: true,
  }),
  clientnames: valuesOf(NAME_FIELD, {
    description:
      'Where in a client certificate its name stands: the first of these that it has, whose names are all its own. `uri`, `dns` and `email` are of its subjectAltName. `cn` is of its subject, counts only without a subjectAltName, and is not held to the names that an authority is limited to.',
    default: ['uri', 'dns', 'email'],
    reload: true,
  }),
  minimumtls: value(TLS_VERSION, {
    description: 'The oldest version of TLS that clients may use.',
    default: 'tls1.2',
    reload: true,
  }),
}
