/** Any other address: nobody but the person says what it should be. */
import { lockByHand } from '../lock-entry.ts'
import type { Adapter } from '../publisher.ts'

export const plainAdapter: Adapter = {
  name: 'plain',
  matches: () => true,
  lock: (request, context) => lockByHand(request, request.url, context, 'this publisher is unknown'),
}
