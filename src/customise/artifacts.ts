/**
 * Artifacts: texts that piimage generates from the whole cluster and from its
 * key, so that no overlay has to. `materials: [join-key]` in overlay.yaml puts
 * one into the node's payload.
 *
 * A secret one travels in piimage/secrets/ and is found as `$secrets/<name>` on
 * the node; the others in piimage/material/, as `$payload/material/<name>`.
 */
import type { ArtifactRow } from '../cluster/feature.ts'
import { UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { Secret } from '../secret.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'
import type { Subject } from './values.ts'

/** Those of all features; some share one. */
export const artifactRows: readonly ArtifactRow[] = [
  ...new Set(features.flatMap(({ artifacts }) => artifacts ?? [])),
]

/**
 * @param keys undefined: the image is to be nobody's
 * @throws {UsageError} there is no such artifact, or it is made from the key
 */
export function makeArtifact(
  name: string,
  overlay: string,
  subject: Subject,
  keys: NodeKeys | undefined,
): Secret | string {
  const row = artifactRows.find((candidate) => candidate.name === name)
  if (row === undefined)
    throw new UsageError(`overlay ${overlay} asks for the material ${name}, which does not exist`, {
      hint: `There are ${artifactRows.map((candidate) => candidate.name).join(', ')}.`,
    })
  const { node } = subject
  if (row.headOnly && node.role !== 'head')
    throw new UsageError(
      `overlay ${overlay} asks for the material ${name} on ${node.name}, which is not the head`,
      {
        hint: 'Whoever has it has the cluster. Find out who wrote this overlay.',
      },
    )
  const made = row.of(subject, keys ?? noKeys(overlay))
  const owners = features.filter(({ artifacts }) => artifacts?.includes(row)).map((feature) => feature.name)
  if (made instanceof Secret && !owners.includes(overlay))
    throw new UsageError(
      `overlay ${overlay} asks for the secret ${name}, which belongs to ${owners.join(' and ')}`,
      {
        hint: `Only the overlay of that name gets it.`,
      },
    )
  return made
}

function noKeys(overlay: string): NodeKeys {
  const refuse = () => {
    throw new UsageError(
      `overlay ${overlay} makes a node one of a cluster, and this image is to be nobody's`,
      {
        hint: `Take ${overlay} out, or bake the node itself.`,
      },
    )
  }
  return { hostKey: refuse, derive: refuse }
}
