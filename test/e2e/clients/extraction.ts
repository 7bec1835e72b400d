// When a containerd may be killed. It puts a snapshot's directory in place before it commits the
// record of it: killed in between, it hands the same number out again and refuses every later pull
// ("failed to rename: file exists"), which no edge can mend.
import { setTimeout as wait } from 'node:timers/promises'
import { runCommand } from '../processes.ts'
import { goTool } from '../tools.ts'

/** How long between two looks: containerd tells of no snapshot by itself. */
const LOOK_AGAIN_MS = 50

/**
 * Waits until a layer that is not an image's first one has its snapshot and waits for its bytes:
 * all before it are extracted, and nothing of containerd's own records is being written.
 */
export async function laterLayerPrepared(socket: string, namespace: string): Promise<void> {
  const list = ['-a', socket, '-n', namespace, 'snapshots', 'ls']
  const prepared = /^\S+(?: sha256:\S+)?\s+sha256:[0-9a-f]{64}\s+Active\s*$/m
  while (!prepared.test(await runCommand(goTool('ctr'), list))) await wait(LOOK_AGAIN_MS)
}
