// Goal: where a forwarder can look like a client is told from what the kernel and Kubernetes say. Method: what they say, as text.
import t from 'tap'
import { sharedLoopback } from '../../../src/cli/shared-loopback.ts'

const POD = { KUBERNETES_SERVICE_HOST: '10.96.0.1' }

t.test('R308: root that is another user outside, and a pod, share their loopback', async t => {
  for (const [name, uidMap, shared] of [
    ['a machine', '         0          0 4294967295\n', undefined],
    ['PrivateUsers= of systemd', '0 0 1\n998 998 1\n', undefined],
    [
      'a rootless container',
      '         0       1000          1\n         1     100000      65536\n',
      'user namespace',
    ],
    ['a person of a rootless container', '1000 0 1\n0 1 1000\n', 'user namespace'],
    ['users that are mapped by the daemon', '0 100000 65536\n', 'user namespace'],
    ['another user than root, kept', '1000 1000 1\n', undefined],
    ['a system without the file', undefined, undefined],
    ['no users yet', '', undefined],
  ] as const) {
    t.equal(sharedLoopback({ uidMap, env: {} }), shared, name)
    t.equal(sharedLoopback({ uidMap, env: POD }), shared ?? 'pod', `${name}, in a pod`)
  }
})
