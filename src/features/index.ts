/**
 * Every feature that ships. The order is that in which overlays are applied,
 * whatever the cluster file lists first: a node needs its name before its user, a
 * network before Docker, Docker before what joins it. Overlays of one's own come
 * after all of these. Raw cloud-init data is the last of the shipped ones, so that it
 * has the last word.
 */
import type { Feature } from '../cluster/feature.ts'
import { docker } from './docker/feature.ts'
import { k3s } from './k3s/feature.ts'
import { kubeadm } from './kubeadm/feature.ts'
import { portainer } from './portainer/feature.ts'
import { router } from './router/feature.ts'
import { swarm } from './swarm/feature.ts'
import { systemFeatures } from './system.ts'

export const features: readonly Feature[] = [
  ...systemFeatures,
  router,
  docker,
  swarm,
  kubeadm,
  k3s,
  portainer,
  { name: 'cloud-init' },
]

/** The feature that `join.kind` names; undefined: the nodes are single ones. */
export const joinFeature = (kind: string): Feature | undefined =>
  features.find(({ name, join }) => name === kind && join !== undefined)
