// What is counted in a catalog's file, held against what counting gives: queries that find nothing
// in a file that holds together. Each looks at everything, by the plainest means.

const BLOCKS = 'coalesce(sum((c.size + 4095) / 4096), 0)'

/** Each finds what does not agree. */
export const DRIFTS: readonly string[] = [
  `SELECT id FROM content WHERE refs <>
     (SELECT count(*) FROM edge JOIN content parent ON parent.id = edge.parent
      WHERE edge.child = content.id AND edge.kind <> 3 AND edge.needs = 1 AND parent.present = 1)
     + (SELECT count(*) FROM repository_content m WHERE m.content = content.id AND coalesce(m.media_type, '') <> '')`,
  'SELECT id FROM content WHERE loose_at IS NOT NULL AND (present = 0 OR refs <> 0)',
  'SELECT m.content FROM repository_content m JOIN content c ON c.id = m.content WHERE m.holds <> 0 AND c.class = 0',
  'SELECT delivery FROM carried WHERE delivery NOT IN (SELECT id FROM outbox)',
  'SELECT content FROM leaving WHERE (SELECT present FROM content WHERE id = leaving.content) = 1',
  `SELECT 1 FROM totals WHERE content_blocks <> (SELECT ${BLOCKS} FROM content c WHERE present = 1)`,
  `SELECT 1 FROM totals WHERE kept_blocks <> (SELECT ${BLOCKS} FROM content c WHERE present = 1 AND class = 1)`,
  `SELECT 1 FROM totals WHERE leaving_blocks <> (SELECT ${BLOCKS} FROM leaving c)`,
  `SELECT key FROM repository WHERE blocks <>
     (SELECT ${BLOCKS} FROM content c JOIN repository_content m ON m.content = c.id
      WHERE m.repository = repository.id AND c.present = 1)`,
]
