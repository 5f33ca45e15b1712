/**
 * What doesn't fit together in a cluster file, although each value looks right.
 *
 * One table of rules; each looks at all nodes and reports every finding with its
 * place. A rule says nothing about values that are wrong by themselves: those were
 * reported before and are undefined here.
 */
import { imageFitsModel, imageInLock, modelAndImageGiven } from './lint-boards.ts'
import {
  addressesOnce,
  clusterHatModels,
  groupsExist,
  macsOnce,
  serialFitsMac,
  serialsOnce,
  slotsOnce,
} from './lint-identity.ts'
import {
  boardsCanJoin,
  headAddress,
  joinOverlays,
  managersAllowed,
  oneHead,
  serverExists,
} from './lint-join.ts'
import {
  addressesInNetwork,
  containersApart,
  dhcpRange,
  gatewayRoutes,
  gatewaysInside,
  interfacesApart,
  nameServers,
  someWayOut,
} from './lint-network.ts'
import {
  anyNetwork,
  keymapVariants,
  netbootPossible,
  overlaysKnown,
  releaseKnows,
  routerPorts,
  somebodyMayLogIn,
  wifiOnBoard,
} from './lint-settings.ts'
import type { LintInput, Rule } from './rule.ts'

const rules: readonly Rule[] = [
  modelAndImageGiven,
  imageInLock,
  imageFitsModel,
  groupsExist,
  addressesOnce,
  macsOnce,
  serialsOnce,
  slotsOnce,
  serialFitsMac,
  clusterHatModels,
  addressesInNetwork,
  interfacesApart,
  gatewaysInside,
  gatewayRoutes,
  someWayOut,
  dhcpRange,
  nameServers,
  containersApart,
  oneHead,
  headAddress,
  managersAllowed,
  boardsCanJoin,
  joinOverlays,
  serverExists,
  overlaysKnown,
  wifiOnBoard,
  anyNetwork,
  keymapVariants,
  releaseKnows,
  routerPorts,
  netbootPossible,
  somebodyMayLogIn,
]

/** Run every rule. */
export function lint(input: LintInput): void {
  for (const rule of rules) rule(input)
}
