// 201 of a blob that a push made a member of its repository, however it came (R100, R101, R109).
import type { BlobPushed } from '../../registry/answers.ts'
import { type Answer, emptyAnswer } from '../answer.ts'
import type { NamedContext } from '../context.ts'
import { blobLocation } from './locations.ts'

export function blobCreated(context: NamedContext, { digest }: BlobPushed): Answer {
  context.exchange.record.reference = digest
  return emptyAnswer(201, {
    Location: blobLocation(context, digest),
    'Docker-Content-Digest': digest,
  })
}
