/**
 * What can go wrong on a first boot, by step: the trouble as the step meets it,
 * and what the node then says of itself; or why it can't meet that step at all.
 */
import type { Mood } from './archive.ts'
import type { Rig } from './rig.ts'
import { K3S } from './stand-ins.ts'

/** One way in which a trouble meets a step. */
export interface Case {
  /** The scene's name; the step's only one unless given. */
  way?: string
  mood?: Mood
  facts?: Record<string, string>
  network?: false
  /** A shell command that goes on beside the step. */
  beside?: string
  files?: Record<string, string>
  state: 'retrying' | 'waiting' | 'failed' | 'done'
  /** The status' detail, or for `done` the output. */
  says: RegExp
  cure?: (rig: Rig) => void
}

/** Cases; all ways through the step; or the reason why the trouble can't touch it. */
export type Cell = Case[] | 'every way' | { never: string }

export const columns = [
  'run twice',
  'disk full',
  'power cut',
  'no network',
  'wrong clock',
  'archive unreachable',
  'bad signature',
  'dpkg locked',
  'half-configured package',
] as const
export type Column = (typeof columns)[number]

const never = (reason: string): Cell => ({ never: reason })
const noPackages = Object.fromEntries(
  columns.slice(5).map((column) => [column, never('installs no packages')]),
) as Record<'archive unreachable' | 'bad signature' | 'dpkg locked' | 'half-configured package', Cell>
const offline = {
  'no network': never('needs no network'),
  'wrong clock': never('asks nobody whose word has a date'),
}
const everyWay = { 'run twice': 'every way', 'disk full': 'every way', 'power cut': 'every way' } as const

/** A package in the midst of being configured, and what configuring it does. */
const unpacked = (name: string, postinst: string) => ({
  'var/lib/dpkg/status': `Package: ${name}\nStatus: install ok half-configured\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: of a test\n\n`,
  [`var/lib/dpkg/info/${name}.list`]: '/.\n',
  [`var/lib/dpkg/info/${name}.postinst`]: `#!/bin/sh\n${postinst}\n`,
})

const troublesOfApt: Record<(typeof columns)[number] & keyof typeof noPackages, Case[]> &
  Record<'no network' | 'wrong clock', Case[]> = {
  'no network': [{ network: false, state: 'retrying', says: /no way to the archive: is there a network/ }],
  'wrong clock': [
    { mood: 'early', state: 'retrying', says: /the clock is wrong: it says \d{4}-/ },
    {
      mood: 'late',
      state: 'retrying',
      says: /the archive is out of date, or the clock is wrong: it says \d{4}-/,
    },
  ],
  'archive unreachable': [
    { mood: 'refused', state: 'retrying', says: /no way to the archive/ },
    { mood: 'gone', state: 'retrying', says: /there is nothing for this release at that address/ },
  ],
  'bad signature': [{ mood: 'forged', state: 'retrying', says: /not signed by the key it should be/ }],
  'dpkg locked': [
    {
      files: unpacked(
        'slow',
        'echo >/run/rig/held; while [ ! -e /run/rig/release ]; do /bin/sleep 0.05; done',
      ),
      beside:
        'dpkg --configure slow >/dev/null 2>&1 & while [ ! -e /run/rig/held ]; do /bin/sleep 0.05; done',
      state: 'waiting',
      says: /another program is installing packages/,
      cure: (rig) => rig.fact('release', 'now'),
    },
  ],
  'half-configured package': [
    {
      files: unpacked('wreck', '[ -e /run/rig/cured ]'),
      state: 'retrying',
      says: /the package database is in disorder: sudo apt-get -f install/,
      cure: (rig) => rig.fact('cured', 'yes'),
    },
    { files: unpacked('left', 'exit 0'), state: 'done', says: /Setting up left/ },
  ],
}
const onWay = (way: string, cells: Record<string, Case[]>): Record<string, Case[]> =>
  Object.fromEntries(
    Object.entries(cells).map(([column, cases]) => [column, cases.map((one) => ({ way, ...one }))]),
  )

const fact = (name: string) => ({ facts: { [name]: 'yes' }, cure: (rig: Rig) => rig.fact(name, undefined) })
const notSynchronised = /the clock is not synchronised; it says \d{4}-/

export const table: Record<string, Record<Column, Cell>> = {
  clock: {
    ...everyWay,
    'disk full': never('writes nothing'),
    'no network': [{ network: false, ...fact('clock-wrong'), state: 'done', says: notSynchronised }],
    'wrong clock': [{ ...fact('clock-wrong'), state: 'done', says: notSynchronised }],
    ...noPackages,
  },
  docker: { ...everyWay, ...troublesOfApt },
  'host-keys': { ...everyWay, ...offline, ...noPackages },
  hostname: { ...everyWay, ...offline, ...noPackages },
  k3s: {
    ...everyWay,
    'no network': [
      {
        way: 'head',
        network: false,
        state: 'retrying',
        says: /k3s-arm64 could not be fetched: no way to the archive/,
      },
      {
        way: 'worker',
        ...fact('head-off'),
        state: 'waiting',
        says: /the head \(10\.3\.50\.1\) has not taken this node in yet/,
      },
      {
        way: 'head',
        ...fact('head-off'),
        state: 'retrying',
        says: /k3s does not come up: journalctl -u k3s/,
      },
    ],
    'wrong clock': [
      {
        way: 'head',
        // What apt-helper says of a certificate from the future.
        files: {
          'usr/lib/apt/apt-helper':
            '#!/bin/sh\n[ -e /run/rig/clock-wrong ] || exec cp /run/rig/served "$3"\necho \'W: Certificate verification failed: The certificate is NOT trusted. The certificate chain uses not yet valid certificate.\' >&2\nexit 100\n',
        },
        facts: { 'clock-wrong': 'yes', served: K3S.trimEnd() },
        cure: (rig) => rig.fact('clock-wrong', undefined),
        state: 'retrying',
        says: /could not be fetched: the clock is wrong: it says \d{4}-/,
      },
    ],
    ...noPackages,
    'archive unreachable': [
      {
        way: 'worker',
        mood: 'refused',
        state: 'retrying',
        says: /could not be fetched: no way to the archive/,
      },
      { way: 'worker', mood: 'gone', state: 'retrying', says: /could not be fetched: there is nothing/ },
    ],
  },
  kubeadm: {
    ...everyWay,
    ...onWay('archive', troublesOfApt),
    'no network': [
      ...troublesOfApt['no network'].map((one) => ({ way: 'archive', ...one })),
      {
        way: 'head',
        ...fact('no-address'),
        state: 'waiting',
        says: /does not have its address 10\.3\.50\.1 yet/,
      },
      {
        way: 'worker',
        ...fact('head-off'),
        state: 'waiting',
        says: /the head \(10\.3\.50\.1\) has not taken/,
      },
    ],
    'wrong clock': [
      ...troublesOfApt['wrong clock'].map((one) => ({ way: 'archive', ...one })),
      {
        way: 'worker',
        ...fact('clock-wrong'),
        state: 'waiting',
        says: /the head \(10\.3\.50\.1\) has not taken/,
      },
    ],
  } as Record<Column, Cell>,
  locale: { ...everyWay, ...offline, ...noPackages },
  network: { ...everyWay, ...offline, 'no network': never('writes what makes the network'), ...noPackages },
  portainer: {
    ...everyWay,
    'disk full': never('what it makes lies in Docker'),
    'no network': [
      { ...fact('docker-off'), state: 'waiting', says: /this node is no manager of a swarm yet/ },
      { ...fact('deploy-fails'), state: 'retrying', says: /the stack could not be deployed/ },
    ],
    'wrong clock': never('Docker asks, not the step'),
    ...noPackages,
  },
  router: { ...everyWay, ...troublesOfApt },
  ssh: { ...everyWay, 'disk full': never('the link of a unit needs no block'), ...offline, ...noPackages },
  swarm: {
    ...everyWay,
    'no network': [
      {
        way: 'worker',
        ...fact('head-off'),
        state: 'waiting',
        says: /the head at 172\.19\.181\.254 does not answer yet/,
      },
      {
        way: 'worker',
        ...fact('no-address'),
        state: 'waiting',
        says: /address 172\.19\.181\.1 is not there yet/,
      },
      {
        way: 'head',
        ...fact('no-address'),
        state: 'waiting',
        says: /address 172\.19\.181\.254 is not there yet/,
      },
      { way: 'head', ...fact('docker-off'), state: 'retrying', says: /the Docker daemon does not answer/ },
    ],
    'wrong clock': [
      {
        way: 'worker',
        ...fact('clock-wrong'),
        state: 'waiting',
        says: /x509: certificate has expired or is not yet valid/,
      },
    ],
    ...noPackages,
  },
  'swarm-gather': {
    ...everyWay,
    'no network': [
      {
        facts: { nodes: 'h hammond Ready\no oneil Down' },
        cure: (rig) => rig.fact('nodes', 'h hammond Ready\no oneil Ready'),
        state: 'waiting',
        says: /not in the swarm yet: oneil/,
      },
      { ...fact('docker-off'), state: 'retrying', says: /the swarm does not answer/ },
    ],
    'wrong clock': never('asks only the Docker of its own node'),
    ...noPackages,
  },
  user: { ...everyWay, ...offline, ...noPackages },
  wifi: { ...everyWay, ...offline, ...noPackages },
}
