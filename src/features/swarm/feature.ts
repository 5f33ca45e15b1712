/** One Docker Swarm, formed by the nodes themselves. */
import type { Feature } from '../../cluster/feature.ts'
import { joinKeyPurpose, swarmArtifacts } from './artifacts.ts'
import { MEMBERSHIP, readMembership, whyStray } from './membership.ts'
import { pushJoin } from './push-join.ts'

export const swarm: Feature = {
  name: 'swarm',
  needs: ['docker'],
  personal: true,
  ranges: [{ what: "Swarm's address pool", range: '172.31.0.0/16', parameter: 'address-pool' }],
  purposes: {
    [joinKeyPurpose]: 'node: seed of the ed25519 key that fetches its join token from the head, once',
  },
  artifacts: swarmArtifacts,
  secretForms: [{ name: "a swarm's join token", form: /SWMTKN-\d-[0-9a-z]{20}/ }],
  probe: MEMBERSHIP,
  join: {
    managers: true,
    push: pushJoin,
    whyStray: (its, heads, head) => whyStray(readMembership(its), readMembership(heads), head),
  },
}
