/**
 * Which swarm a node is in. A head made again has another swarm under the same
 * name, and its old workers go on saying `active` in the one before.
 *
 * Docker tells a swarm's own ID to managers only (`Swarm.Cluster`, Engine API
 * "SwarmInfo"). A worker is in the head's swarm if the head lists its node ID;
 * those are random, so no other swarm has the same.
 */
import type { Said } from '../../cluster/feature.ts'

/** On each node: lines `swarm…`; with the function `d` of the docker feature's probe. */
export const MEMBERSHIP = `if command -v docker >/dev/null; then
d info -f 'swarm {{.Swarm.LocalNodeState}}
swarm-node {{.Swarm.NodeID}}
swarm-id {{if .Swarm.ControlAvailable}}{{with .Swarm.Cluster}}{{.ID}}{{end}}{{end}}
swarm-managers {{range .Swarm.RemoteManagers}}{{.NodeID}} {{end}}'
if [ "$(d info -f '{{.Swarm.ControlAvailable}}')" = true ]; then echo "swarm-members $(echo $(d node ls -q))"; fi
fi`

export interface Membership {
  /** `inactive`, `pending`, `active`, `error`, `locked`; '' where Docker does not answer. */
  state: string
  /** Of the node, in its swarm; '' in none. */
  id: string
  /** Of the swarm, where the node is a manager; else ''. */
  swarm: string
  /** Node IDs of the managers that it knows. */
  managers: string[]
  /** Node IDs of all members, where the node is a manager that could tell. */
  members?: string[]
}

export function readMembership(said: Said): Membership {
  // An ID becomes part of commands on the head and of messages, and a node says it.
  const ids = (name: string) => (said.get(name) ?? '').split(' ').filter((word) => /^[a-z0-9]+$/.test(word))
  const members = ids('swarm-members')
  return {
    state: /^[a-z]*$/.exec(said.get('swarm') ?? '')?.[0] ?? '',
    id: ids('swarm-node')[0] ?? '',
    swarm: ids('swarm-id')[0] ?? '',
    managers: ids('swarm-managers'),
    // A manager lists at least itself; one without a quorum answers with nothing.
    members: members.length > 0 ? members : undefined,
  }
}

/** @returns why a node that is in a swarm is not in the head's; undefined: it is, or the head can't tell */
export function whyStray(its: Membership, heads: Membership, head: string): string | undefined {
  if (its.id === '' || its.state === 'inactive' || its.state === '') return undefined
  if (heads.state === 'inactive') return `it is in a swarm, and ${head} is in none`
  if (heads.members === undefined || heads.members.includes(its.id)) return undefined
  if (its.managers.includes(heads.id) || (its.swarm !== '' && its.swarm === heads.swarm))
    return `the swarm of ${head} has removed it`
  const which = its.swarm === '' ? '' : ` (${its.swarm}, not ${heads.swarm})`
  return `it is in another swarm than ${head}${which}`
}
