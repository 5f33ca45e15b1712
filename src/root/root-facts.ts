/**
 * What a root file system says of its system: its name, where its boot
 * partition is mounted, what starts at boot, its accounts, and which time zones,
 * locales and keyboards it knows.
 *
 * Each answer is read when it is first asked for, and kept. Nothing is read
 * without bound, and nothing is made up: what a root doesn't say is undefined.
 *
 * Source: os-release(5), fstab(5), passwd(5), group(5); cloud-init
 * documentation, "How to disable cloud-init"; systemd.generator(7).
 */
import { type Machine, readElfMachine } from './elf.ts'
import { type Keyboards, readKeyboards } from './keyboards.ts'
import { type Locales, readLocales } from './locales.ts'
import { type RootFiles, readRootText } from './root-files.ts'
import { readTimeZones, type TimeZones } from './time-zones.ts'

export interface FstabLine {
  /** `PARTUUID=…`, `LABEL=…`, a device. */
  device: string
  mount: string
  type: string
  options: string[]
  /** From 1. */
  line: number
}

export interface Account {
  name: string
  id: number
  group: number
  home: string
  shell: string
}

export interface Group {
  name: string
  id: number
  members: string[]
}

/** Programs that decide how a first boot is started and how the network is set up. */
export type Program =
  | 'cloud-init'
  | 'dhcpcd'
  | 'ifupdown'
  | 'netplan'
  | 'network-manager'
  | 'networkd'
  | 'resolved'
  | 'rpi-preseed'
  | 'systemd'
  /** The generator that obeys `systemd.run=`. */
  | 'systemd-run'

const places: Record<Program, readonly string[]> = {
  'cloud-init': ['/usr/bin/cloud-init'],
  dhcpcd: ['/usr/sbin/dhcpcd', '/sbin/dhcpcd', '/usr/sbin/dhcpcd5', '/sbin/dhcpcd5'],
  ifupdown: ['/usr/sbin/ifup', '/sbin/ifup'],
  netplan: ['/usr/sbin/netplan', '/usr/bin/netplan'],
  'network-manager': ['/usr/sbin/NetworkManager'],
  networkd: ['/usr/lib/systemd/systemd-networkd', '/lib/systemd/systemd-networkd'],
  resolved: ['/usr/lib/systemd/systemd-resolved', '/lib/systemd/systemd-resolved'],
  'rpi-preseed': ['/usr/bin/rpi-preseed'],
  systemd: ['/usr/lib/systemd/systemd', '/lib/systemd/systemd'],
  'systemd-run': [
    '/usr/lib/systemd/system-generators/systemd-run-generator',
    '/lib/systemd/system-generators/systemd-run-generator',
  ],
}

export interface RootFacts {
  /** The root itself, for whatever isn't asked here. */
  files: RootFiles
  /** Keys and values of /etc/os-release, unquoted; none: there is no such file. */
  osRelease(): Promise<Readonly<Record<string, string>>>
  /** MAJOR.MINOR of Debian, from /etc/debian_version; `trixie/sid` of a testing release. */
  debianVersion(): Promise<string | undefined>
  fstab(): Promise<readonly FstabLine[]>
  /** Where the boot partition is mounted; undefined: fstab doesn't say. */
  bootMount(): Promise<string | undefined>
  has(program: Program): Promise<boolean>
  /** Whether cloud-init acts at the next boot, as far as the root decides; `disabled` names the file that says no. */
  cloudInit(): Promise<'absent' | 'enabled' | { disabled: string }>
  accounts(): Promise<readonly Account[]>
  groups(): Promise<readonly Group[]>
  /** undefined: the root has no time zone data. */
  timeZones(): Promise<TimeZones | undefined>
  /** undefined: the root lists none. */
  locales(): Promise<Locales | undefined>
  /** undefined: the root has no keyboard data, as on systems without console-setup. */
  keyboards(): Promise<Keyboards | undefined>
  /** What /sbin/init is made for; undefined: it is no program, or not there. */
  machine(): Promise<Machine | undefined>
  /** Names in /lib/modules. */
  kernels(): Promise<readonly string[]>
}

export function openRootFacts(files: RootFiles): RootFacts {
  const text = async (path: string) => (await readRootText(files, path)) ?? ''
  const programs = new Map<Program, Promise<boolean>>()
  const anyThere = async (paths: readonly string[]) => {
    for (const path of paths) if (await files.has(path)) return true
    return false
  }
  const facts: RootFacts = {
    files,
    osRelease: once(async () =>
      parseOsRelease((await text('/etc/os-release')) || (await text('/usr/lib/os-release'))),
    ),
    debianVersion: once(async () => (await text('/etc/debian_version')).trim() || undefined),
    fstab: once(async () => parseFstab(await text('/etc/fstab'))),
    bootMount: once(async () => findBootMount(await facts.fstab())),
    has(program) {
      const known = programs.get(program) ?? anyThere(places[program])
      programs.set(program, known)
      return known
    },
    cloudInit: once(async () => {
      if (!(await facts.has('cloud-init'))) return 'absent'
      const disabled = '/etc/cloud/cloud-init.disabled'
      return (await files.has(disabled)) ? { disabled } : 'enabled'
    }),
    accounts: once(async () => parsePasswd(await text('/etc/passwd'))),
    groups: once(async () => parseGroup(await text('/etc/group'))),
    timeZones: once(() => readTimeZones(files)),
    locales: once(() => readLocales(files)),
    keyboards: once(() => readKeyboards(files)),
    machine: once(async () => readElfMachine((await files.read('/sbin/init', 0, 64)) ?? new Uint8Array())),
    kernels: once(async () => {
      const names = await files.list('/usr/lib/modules')
      return names.length > 0 ? names : files.list('/lib/modules')
    }),
  }
  return facts
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined
  return () => {
    known ??= read()
    return known
  }
}

const linesOf = (text: string): string[] => text.split('\n').map((line) => line.trim())

function parseOsRelease(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const line of linesOf(text)) {
    const [, key, value = ''] = /^([A-Z0-9_]+)=(.*)$/.exec(line) ?? []
    if (key !== undefined) found[key] = value.replace(/^(["'])(.*)\1$/, '$2')
  }
  return found
}

function parseFstab(text: string): FstabLine[] {
  return text.split('\n').flatMap((line, index) => {
    const [device = '', mount, type = '', options = ''] = line.trim().split(/\s+/).map(unescapeOctal)
    if (mount === undefined || device.startsWith('#')) return []
    return [{ device, mount, type, options: options.split(','), line: index + 1 }]
  })
}

/** As getmntent(3) reads a field: `\040` is a blank. */
const unescapeOctal = (field: string): string =>
  field.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

/** The FAT that is mounted at /boot or below. */
function findBootMount(lines: readonly FstabLine[]): string | undefined {
  const mounts = lines
    .filter(({ mount, type }) => /^\/boot(?:\/|$)/.test(mount) && /^(?:vfat|msdos|auto)$/.test(type))
    .map(({ mount }) => mount.replace(/(.)\/$/, '$1'))
  // /boot/efi is another matter, on images that have it besides.
  return mounts.find((mount) => mount !== '/boot/efi') ?? mounts[0]
}

function parsePasswd(text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , id, group, , home = '', shell = ''] = line.split(':')
    if (id === undefined || group === undefined) return []
    return [{ name, id: Number(id), group: Number(group), home, shell: shell.trim() }]
  })
}

function parseGroup(text: string): Group[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , id, members = ''] = line.split(':')
    if (id === undefined) return []
    return [
      {
        name,
        id: Number(id),
        members: members
          .trim()
          .split(',')
          .filter((member) => member !== ''),
      },
    ]
  })
}
