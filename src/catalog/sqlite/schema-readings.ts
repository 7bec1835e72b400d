// The step to version 1005: a manifest's media type is that by which it was given to this repository, and no other repository's (R251).

// NULL: written by an older version, which had one media type for all of them, in `content`. Empty: not given here as a manifest.
export const READINGS = `
ALTER TABLE repository_content ADD COLUMN media_type TEXT;
`
