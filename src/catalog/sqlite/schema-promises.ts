// The step to version 1004: what a client was told is kept, and no manifest has come for yet. A
// delete of somebody else's manifest must not take it along while its push may still be under way
// (R296). An older minor runs on such a file and knows nothing of it: its deletes take along what
// is promised, and what is left here ends by its age.

/**
 * `times`: acknowledgements for which no manifest has come; `at`: of the last one. `owed`: a delete
 * would have taken it along.
 */
export const PROMISES = `
CREATE TABLE promised (
  repository INTEGER NOT NULL REFERENCES repository,
  content    INTEGER NOT NULL REFERENCES content,
  times      INTEGER NOT NULL CHECK (times >= 0),
  at         INTEGER NOT NULL,
  owed       INTEGER NOT NULL DEFAULT 0 CHECK (owed IN (0, 1)),
  PRIMARY KEY (repository, content)
) STRICT, WITHOUT ROWID;
CREATE INDEX promised_by_age ON promised (at);
`
