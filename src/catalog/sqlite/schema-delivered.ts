// The step to version 1007: under which repositories the bytes themselves came, which is more than being known to belong there (R252).
import { CLASS_CODES, REASON_CODES } from './encoding.ts'

const REGISTRY = (row: string) => `substr(${row}.key, 1, instr(${row}.key, '/'))`

// Older versions gave a blob to whoever was known to hold it, so their rows count as delivered; but not where more than one registry
// has a blob that is only cached: there nobody knows any more which of them delivered it.
export const DELIVERED = `
ALTER TABLE repository_content ADD COLUMN delivered INTEGER NOT NULL DEFAULT 1 CHECK (delivered IN (0, 1));
UPDATE repository_content SET delivered = 0
WHERE reason <> ${REASON_CODES.manifest}
  AND EXISTS (SELECT 1 FROM content c
    WHERE c.id = repository_content.content AND c.media_type IS NULL AND c.class IS NOT ${CLASS_CODES.kept})
  AND EXISTS (
    SELECT 1 FROM repository_content other JOIN repository theirs ON theirs.id = other.repository
    WHERE other.content = repository_content.content
      AND ${REGISTRY('theirs')} <> (SELECT ${REGISTRY('own')} FROM repository own WHERE own.id = repository_content.repository));
`
