// The step to version 1009: what a deleted manifest took along is no member any more, and is remembered as such. Whoever deletes it by
// itself afterwards is told that it is gone, once; and its bytes did come under that repository (R255).
export const TAKEN = `
CREATE TABLE taken (
  content    INTEGER NOT NULL REFERENCES content,
  repository INTEGER NOT NULL REFERENCES repository,
  delivered  INTEGER NOT NULL CHECK (delivered IN (0, 1)),
  PRIMARY KEY (content, repository)
) STRICT, WITHOUT ROWID;
`
