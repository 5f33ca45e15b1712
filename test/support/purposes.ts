/** Everything that is derived from a cluster key: for every node, and for the features. */
import { features } from '../../src/features/index.ts'
import { purposes } from '../../src/secrets/derive.ts'

export const allPurposes: readonly string[] = [
  ...Object.keys(purposes),
  ...new Set(features.flatMap((feature) => Object.keys(feature.purposes ?? {}))),
]
