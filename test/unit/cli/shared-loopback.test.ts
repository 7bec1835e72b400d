// Goal: where a forwarder can look like a client is told from what the kernel and Kubernetes say.
// Method: what they say, as text.
import t from 'tap'
import { sharedLoopback } from '../../../src/cli/shared-loopback.ts'

const POD = { KUBERNETES_SERVICE_HOST: '10.96.0.1' }

const NOBODY = 65_534

t.test('R308: root that is another user outside, and a pod, share their loopback', async t => {
  for (const [name, uidMap, procOwner, shared] of [
    ['a machine', '         0          0 4294967295\n', 0, undefined],
    ['PrivateUsers= of systemd', '0 0 1\n998 998 1\n', 0, undefined],
    ['PrivateUsers= of a person, who is kept', '1000 1000 1\n', NOBODY, undefined],
    ['a rootless container', '0 1000 1\n1 100000 65536\n', NOBODY, 'user namespace'],
    ['a person of a rootless container', '1000 0 1\n0 1 1000\n', NOBODY, 'user namespace'],
    ['users that are mapped by the daemon', '0 100000 65536\n', NOBODY, 'user namespace'],
    ["the machine's root is a user in here", '0 1234 1\n1 0 1\n', 1, 'user namespace'],
    // The map is relative to the namespace around.
    ['a container in a rootless one', '0 0 1\n', NOBODY, 'user namespace'],
    ['the same with more users', '0 0 65536\n', NOBODY, 'user namespace'],
    ['root of a rootless one is a person in here', '1000 0 1\n', NOBODY, 'user namespace'],
    ['a system without the file', undefined, undefined, undefined],
    ['no users yet', '', NOBODY, undefined],
  ] as const) {
    t.equal(sharedLoopback({ uidMap, procOwner, env: {} }), shared, name)
    t.equal(sharedLoopback({ uidMap, procOwner, env: POD }), shared ?? 'pod', `${name}, in a pod`)
  }
})
