/**
 * Texts an overlay can ask for by name: made from the whole cluster and from
 * its key, so that no overlay has to. `materials: [join-key]` in overlay.yaml
 * puts one into the node's payload.
 *
 * A secret one travels in piimage/secrets/ and is found as `$secrets/<name>` on
 * the node; the others in piimage/material/, as `$payload/material/<name>`.
 */
import { UsageError } from '../errors.ts'
import type { Secret } from '../secret.ts'
import { clusterRows } from './material/cluster.ts'
import { joinRows } from './material/join.ts'
import { kubernetesRows } from './material/kubernetes.ts'
import type { NodeKeys } from './plan-boot.ts'
import type { Subject } from './values.ts'

export interface MaterialRow {
  name: string
  meaning: string
  /** A Secret, or a text that everybody may read; with its line ends. */
  of: (subject: Subject, keys: NodeKeys) => Secret | string
}

export const materialRows: readonly MaterialRow[] = [...joinRows, ...kubernetesRows, ...clusterRows]

/** Folder of the payload that holds those which are no secrets. */
export const MATERIAL = 'material'

/** @throws {UsageError} there is no such material */
export function findMaterial(name: string, overlay: string): MaterialRow {
  const row = materialRows.find((candidate) => candidate.name === name)
  if (row !== undefined) return row
  throw new UsageError(`overlay ${overlay} asks for the material ${name}, which does not exist`, {
    hint: `There are ${materialRows.map((candidate) => candidate.name).join(', ')}.`,
  })
}
