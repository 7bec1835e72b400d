// The step to version 1004: a repository that was pushed to is known, also when nothing is in it any more (R285).
import { CLASS_CODES } from './encoding.ts'

// Of what was deleted before, nothing tells; under localhost a row alone does, since there nobody but clients ever wrote one.
export const KNOWN = `
ALTER TABLE repository ADD COLUMN pushed INTEGER NOT NULL DEFAULT 0 CHECK (pushed IN (0, 1));
UPDATE repository SET pushed = 1
  WHERE key GLOB 'localhost/*' OR id IN (
    SELECT m.repository FROM repository_content m JOIN content c ON c.id = m.content
    WHERE c.class = ${CLASS_CODES.kept} AND c.media_type IS NOT NULL
  );
CREATE INDEX repository_listed ON repository (key) WHERE held > 0 OR pushed = 1;
DROP INDEX repository_held;
`
