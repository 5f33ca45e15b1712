/** A key that is the same in every test run. */
import { ClusterKey } from '../../src/secrets/cluster-key.ts'

export const testKey = new ClusterKey(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))
