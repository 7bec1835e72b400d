// What the waiting room tells, as metrics; and the word to the stalled that others wait.
import type { Metrics } from '../../observe/metrics.ts'
import type { StreamsNotes } from './streams.ts'

const MS_PER_SECOND = 1_000

export function noteStreams(
  metrics: Metrics,
  stillWaiting: StreamsNotes['stillWaiting'],
): StreamsNotes {
  return {
    counts(active, waiting) {
      metrics.set('streamsInFlight', {}, active)
      metrics.set('streamsWaiting', {}, waiting)
    },
    waited: ms => metrics.observe('streamWait', {}, ms / MS_PER_SECOND),
    refused: reason => metrics.count('streamsRefused', { reason }),
    stillWaiting,
  }
}
