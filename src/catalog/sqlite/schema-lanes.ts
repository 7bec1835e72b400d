// The step to version 1008: what is due is found lane by lane, so that no registry hides the others. A lane is the part of a key that names
// the other side: all before its repository.

/** Of a row of `outbox`; with the `/` that ends it. */
export const LANE = `substr(key, 1, instr(key, '/'))`

export const LANES = `
CREATE INDEX outbox_due_by_lane ON outbox (carrier, ${LANE}, next_at, id) WHERE first = 1;
DROP INDEX outbox_due;
`
