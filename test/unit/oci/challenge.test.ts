// Goal: the challenges of real registries are understood. Method: a table of header values of the
// kinds that are met, with what they mean; the odd ones are seen at gateways and older products.
import t from 'tap'
import { parseChallenges } from '../../../src/oci/challenge.ts'
import { formatChallenge, formatScope, parseScope } from '../../kit/stubs/bearer.ts'

const read = (...headerValues: string[]) => {
  return parseChallenges(headerValues).map(({ scheme, parameters, token68 }) => {
    return token68 === undefined ? [scheme, Object.fromEntries(parameters)] : [scheme, token68]
  })
}

t.test('R140: challenges as hosted registries write them', async t => {
  t.same(
    read(
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"',
    ),
    [
      [
        'bearer',
        {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a/b:pull',
        },
      ],
    ],
  )
  t.same(read('Bearer realm="https://quay.io/v2/auth",service="quay.io"', 'Basic realm="quay"'), [
    ['bearer', { realm: 'https://quay.io/v2/auth', service: 'quay.io' }],
    ['basic', { realm: 'quay' }],
  ])
  t.same(
    read('Basic realm="Artifactory Realm", Bearer realm="https://x/token", error="invalid_token"'),
    [
      ['basic', { realm: 'Artifactory Realm' }],
      ['bearer', { realm: 'https://x/token', error: 'invalid_token' }],
    ],
  )
})

t.test(
  'R140: schemes and names in any case, spaces around signs, quotes and escapes inside',
  async t => {
    t.same(read('bEaReR  Realm = "a, \\"b\\" c=d" , SERVICE= "x"'), [
      ['bearer', { realm: 'a, "b" c=d', service: 'x' }],
    ])
    t.same(read('Bearer ,, realm="x",,service="y",'), [['bearer', { realm: 'x', service: 'y' }]])
  },
)

t.test('R140: values without quotes, even URLs, and parameters without commas', async t => {
  t.same(read('Bearer realm=https://x/t?a=b,service=y'), [
    ['bearer', { realm: 'https://x/t?a=b', service: 'y' }],
  ])
  t.same(read('Bearer realm="x" service="y"'), [['bearer', { realm: 'x', service: 'y' }]])
})

t.test('R140: token68 and schemes that stand alone', async t => {
  t.same(read('Negotiate'), [['negotiate', {}]])
  t.same(read('Negotiate YII+/=='), [['negotiate', 'YII+/==']])
  t.same(read('Negotiate, NTLM abc=, Basic realm="x"'), [
    ['negotiate', {}],
    ['ntlm', 'abc='],
    ['basic', { realm: 'x' }],
  ])
})

t.test('R140: of a parameter given twice the first counts, and nonsense is left out', async t => {
  t.same(read('Bearer realm="a",realm="b"'), [['bearer', { realm: 'a' }]])
  t.same(read('', ',', '"x"', '=', 'a=b', '{}'), [])
  t.same(read('Bearer realm="never ends'), [['bearer', { realm: 'never ends' }]])
  t.same(read('Basic realm=Nexus Manager, Bearer realm="x"'), [
    ['basic', { realm: 'Nexus' }],
    ['bearer', { realm: 'x' }],
  ])
  t.same(read('Bearer __proto__="x"'), [['bearer', Object.fromEntries([['__proto__', 'x']])]])
})

t.test('R129: a challenge is written with its parameters quoted', async t => {
  t.equal(
    formatChallenge('Bearer', { realm: 'https://edge/token', service: 'a"b' }),
    'Bearer realm="https://edge/token",service="a\\"b"',
  )
  t.equal(formatChallenge('Basic', { realm: 'ü\r\nX: y' }), 'Basic realm="???X: y"')
  t.equal(formatChallenge('Negotiate', {}), 'Negotiate')
})

t.test('R134: the type ends at the first colon, the actions begin at the last', async t => {
  t.same(parseScope('repository:edge:5000/a/b:pull,push'), {
    type: 'repository',
    class: undefined,
    name: 'edge:5000/a/b',
    actions: ['pull', 'push'],
  })
  t.match(parseScope('repository(plugin):a:delete'), { class: 'plugin', actions: ['delete'] })
  t.match(parseScope('registry:catalog:*'), { type: 'registry', name: 'catalog', actions: ['*'] })
  t.match(parseScope('repository:a:'), { name: 'a', actions: [] })
  const texts = ['repository(plugin):edge:5000/a/b:pull,*', 'registry:catalog:*', 'repository:a:']
  for (const text of texts) t.equal(formatScope(parseScope(text)!), text)
})

t.test('R134: what is no scope is none', async t => {
  const wrong = [
    '',
    'repository',
    'repository:a',
    ':a:pull',
    'repository::pull',
    'repository:a:pull push',
    'repository:a:Pull',
    'repository:a b:pull',
    'a(:b:c',
    `repository:${'a'.repeat(2_000)}:pull`,
  ]
  for (const text of wrong) t.equal(parseScope(text), undefined, text)
})
