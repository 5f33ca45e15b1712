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

/** In place of keys where there is no cluster key: whoever needs one is told so. */
export function keyless(material: string, overlay: string): NodeKeys {
  const refuse = (): never => {
    throw new UsageError(`overlay ${overlay} needs ${material}, which is made from the cluster's key`, {
      hint: 'Describe the node in a cluster file: piimage init makes one, with its key.',
    })
  }
  return {
    hostKey: refuse,
    joinKey: refuse,
    kubeadmToken: refuse,
    k3sToken: refuse,
    authority: refuse,
    portainerPassword: refuse,
  }
}
