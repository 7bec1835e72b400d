// Goal: an image that is typed with this edge in front is found under the name that a client asks
// by, and nothing else is taken for the edge. Method: a table.
import t from 'tap'
import { parseHost } from '../../../../src/oci/reference.ts'
import { ownNameIn } from '../../../../src/registry/routing/own-name.ts'

const names = {
  ownNames: new Set(['edge.example', 'other.example:8443']),
  machineNames: new Set(['edge', 'edge.corp.example', '10.0.0.7']),
  virtualHosts: new Map([['hub.edge.example', parseHost('docker.io')]]),
}

t.test('R290: the edge is known by its names, and by this machine’s with its port', async t => {
  const cases: Record<string, string | undefined> = {
    'localhost:5000/library/alpine:3': 'localhost:5000',
    'LocalHost:5000/library/alpine': 'localhost:5000',
    '127.0.0.1:5000/a/b': '127.0.0.1:5000',
    '[::1]:5000/a/b': '[::1]:5000',
    'edge.example/a/b': 'edge.example',
    'edge.example:5000/docker.io/a/b': 'edge.example:5000',
    'other.example:8443/a': 'other.example:8443',
    'hub.edge.example/library/alpine': 'hub.edge.example',
    'edge:5000/library/alpine': 'edge:5000',
    'Edge.corp.example:5000/docker.io/a/b': 'edge.corp.example:5000',
    '10.0.0.7:5000/a/b': '10.0.0.7:5000',
    // Another program of this machine, and a namespace.
    'edge:5001/a/b': undefined,
    'edge/a/b': undefined,
    // A namespace, another registry, and names that only begin so.
    'localhost/a/b': undefined,
    'localhost:5001/a/b': undefined,
    '127.0.0.1/a': undefined,
    'other.example/a': undefined,
    '10.0.0.1:5000/a/b': undefined,
    'edge.example.org/a': undefined,
    'localhost:5000': undefined,
    alpine: undefined,
  }
  for (const [text, own] of Object.entries(cases)) t.equal(ownNameIn(text, names, 5000), own, text)
  t.equal(ownNameIn('edge.corp.example/a/b', names, 443), 'edge.corp.example')
  t.equal(ownNameIn('edge/a/b', names, 443), undefined, 'a client asks for the repository edge/a/b')
  t.equal(ownNameIn('localhost:5000/a/b', names, undefined), undefined, 'before it listens')
})
