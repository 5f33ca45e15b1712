/** Rules about who a node is: names, addresses, boards and slots that may stand only once; groups that exist. */

import { suggest } from '../nearest.ts'
import { boards, modelsWith } from './boards.ts'
import type { Draft } from './draft.ts'
import { formatIpv4 } from './ipv4.ts'
import { ownOf, pick, type Said } from './layers.ts'
import type { LintInput, Rule } from './rule.ts'
import type { Path } from './yaml-source.ts'

/** Report every value that a node before had already. */
function once(
  { drafts, judge }: LintInput,
  what: string,
  valuesOf: (draft: Draft) => { value: string; shown?: string; path: Path }[],
): void {
  const owners = new Map<string, { name: string; path: Path }>()
  for (const draft of drafts)
    for (const { value, shown, path } of valuesOf(draft)) {
      const first = owners.get(value)
      if (first === undefined) {
        owners.set(value, { name: draft.name, path })
        continue
      }
      const { line } = judge.placeOf(first.path)
      judge.mistake(
        path,
        `${draft.name}: ${what} ${shown ?? value} is ${first.name === draft.name ? 'given twice' : `${first.name}'s already`}`,
        `see line ${line}; each node needs its own`,
      )
    }
}

const said = <T extends string>(value: Said<T> | undefined): { value: T; path: Path }[] =>
  value?.value === undefined ? [] : [{ value: value.value, path: value.path }]

export const addressesOnce: Rule = (input) =>
  once(input, 'address', ({ interfaces }) =>
    interfaces.flatMap(({ address, path }) =>
      address === undefined ? [] : [{ value: formatIpv4(address.value), path }],
    ),
  )

export const macsOnce: Rule = (input) =>
  once(input, 'MAC address', (draft) =>
    said(pick(draft, 'mac')).map(({ value, path }) => ({
      value: value.toLowerCase().replaceAll('-', ':'),
      path,
    })),
  )

/** Boards ask for their files by the low 32 bits of the serial number: those must differ. */
export const serialsOnce: Rule = (input) =>
  once(input, 'serial number', (draft) =>
    said(pick(draft, 'serial')).map(({ value, path }) => ({
      value: value.toLowerCase().slice(-8),
      shown: value,
      path,
    })),
  )

export const slotsOnce: Rule = (input) =>
  once(input, 'ClusterHAT role', (draft) => said(pick(draft, 'clusterhat')))

export const groupsExist: Rule = ({ file, drafts, judge }) => {
  const known = Object.keys(file.groups ?? {})
  for (const { name, path } of drafts) {
    const node = ownOf(file.nodes, name)
    const mentions: [group: string | undefined, at: Path][] = [
      [node?.group, [...path, 'group']],
      ...(node?.groups ?? []).map((group, index): [string | undefined, Path] => [
        group,
        [...path, 'groups', index],
      ]),
    ]
    for (const [group, at] of mentions)
      if (group !== undefined && !known.includes(group))
        judge.mistake(at, `there is no group ${group}`, suggest(group, known, 'groups'))
  }
  const used = new Set(drafts.flatMap(({ groups }) => groups))
  for (const group of known)
    if (!used.has(group))
      judge.warn(
        ['groups', group],
        `no node is in the group ${group}`,
        `say group: ${group} in its nodes`,
        'key',
      )
}

/** A board of the BCM2835 to BCM2837 has its MAC address from its serial number. */
export const serialFitsMac: Rule = ({ drafts, judge }) => {
  for (const draft of drafts) {
    const mac = pick(draft, 'mac')?.value?.toLowerCase().replaceAll(/[:-]/g, '')
    const serial = pick(draft, 'serial')
    if (mac === undefined || serial?.value === undefined || !mac.startsWith('b827eb')) continue
    if (serial.value.toLowerCase().slice(-6) !== mac.slice(-6))
      judge.mistake(
        serial.path,
        `${draft.name}: serial number ${serial.value} and MAC address are of two boards`,
        `the last six digits are the same on one board: …${mac.slice(-6)}`,
      )
  }
}

/** Zeros sit in slots; what they sit on is no Zero. */
export const clusterHatModels: Rule = ({ drafts, judge }) => {
  for (const draft of drafts) {
    const model = pick(draft, 'model')?.value
    if (model === undefined || draft.hat === undefined) continue
    const path = [...draft.path, 'clusterhat']
    const { title, netboot, carriesHat } = boards[model]
    if (draft.hat.role === 'slot' && netboot !== 'usb')
      judge.mistake(
        path,
        `a ${title} does not fit into a ClusterHAT slot`,
        `slots hold ${modelsWith((board) => !board.carriesHat).join(', ')}; the controller is cnat or cbridge`,
      )
    if (draft.hat.role !== 'slot' && !carriesHat)
      judge.mistake(
        path,
        `a ${title} can't be the controller of a ClusterHAT`,
        'a Zero in a slot is p1 to p252',
      )
  }
  const slot = drafts.find((draft) => draft.hat?.role === 'slot')
  if (slot !== undefined && !drafts.some((draft) => draft.hat !== undefined && draft.hat.role !== 'slot'))
    judge.warn(
      [...slot.path, 'clusterhat'],
      `${slot.name} is in a ClusterHAT slot, and no node is its controller`,
      'give the controller clusterhat: cnat or cbridge',
    )
}
