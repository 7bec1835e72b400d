// The step to version 1003: what a manifest lists as to be had from elsewhere is no member by that (R250).
import { EDGE_CODES, REASON_CODES } from './encoding.ts'

// Version 1002 made members of them. What the upstream delivered itself is confirmed by it at the next question.
export const FOREIGN = `
DELETE FROM repository_content WHERE reason = ${REASON_CODES.listed}
  AND EXISTS (SELECT 1 FROM edge e WHERE e.child = repository_content.content AND e.distributable = 0)
  AND NOT EXISTS (
    SELECT 1 FROM edge e JOIN repository_content p ON p.content = e.parent AND p.repository = repository_content.repository
    WHERE e.child = repository_content.content AND e.distributable = 1
      AND e.kind <> ${EDGE_CODES.subject} AND p.reason <> ${REASON_CODES.confirmed});
`
