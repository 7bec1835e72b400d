// One number out of a page of metrics in the Prometheus text format.

/**
 * The largest of all series of the metric, so that of several threads the worst counts; NaN when it
 * is not there.
 */
export function readMetric(text: string, name: string): number {
  const values = text.split('\n').flatMap(line => {
    const [, value] = /^\w+(?:\{[^}]*\})? (\S+)/.exec(line) ?? []
    const isIt = line.startsWith(`${name} `) || line.startsWith(`${name}{`)
    return isIt && value !== undefined ? [Number(value)] : []
  })
  return values.length === 0 ? Number.NaN : Math.max(...values)
}
