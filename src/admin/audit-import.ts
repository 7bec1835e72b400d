// What an import published, for the audit log: a line for each tag that it moved, and whose word
// that was. Why one was refused is in the line of its request (audit-actions.ts).
import type { NoteAudit } from '../observe/audit.ts'
import type { ImportEvent } from '../registry/carry/import-answers.ts'
import type { AskedBy } from './audit-actions.ts'

/** The same events. */
export async function* auditImport(
  events: AsyncIterable<ImportEvent>,
  audit: NoteAudit,
  { who, account, client }: AskedBy,
): AsyncGenerator<ImportEvent> {
  let signedBy: { readonly keyId?: string; readonly edge?: string } = {}
  for await (const event of events) {
    if (event.kind === 'inventory') signedBy = { keyId: event.keyId, edge: event.edge }
    if (event.kind === 'image' && (event.outcome === 'new' || event.outcome === 'moved')) {
      const { image, digest } = event
      audit({ audit: 'push', outcome: 'done', who, account, client, image, digest, ...signedBy })
    }
    yield event
  }
}
