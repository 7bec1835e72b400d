// The small files beside content (sidecars, facts) are one JSON object each. What its fields may be
// is for whoever reads them.

/** The fields of the object that `text` is; undefined for whatever else it is. */
export function jsonFields(text: string): Readonly<Record<string, unknown>> | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)
    : undefined
}
