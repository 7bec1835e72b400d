// The step to version 1002: what a client says that a manifest lists is told from what an upstream
// says (R179). Content below a manifest belongs to a repository only by the word of its upstream.
import { CLASS_CODES, REASON_CODES } from './encoding.ts'

// Version 1001 did not tell them apart. Under localhost nothing but clients ever spoke, and what is
// kept was pushed somewhere: it counts as claimed until an upstream gives it again. Memberships
// stay, and lead to no further ones.
export const LISTING = `
ALTER TABLE content ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0 CHECK (claimed IN (0, 1));
UPDATE content SET claimed = 1 WHERE class = ${CLASS_CODES.kept} AND media_type IS NOT NULL;
UPDATE repository_content SET reason = ${REASON_CODES.confirmed}
  WHERE repository IN (SELECT id FROM repository WHERE key GLOB 'localhost/*');
`
