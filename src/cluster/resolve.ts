/** Drafts without a mistake as Nodes: defaults filled in, addresses and places written out. */
import type { Accounts } from './accounts.ts'
import type { Draft } from './draft.ts'
import type { ClusterFile, ServerSettings } from './file-shape.ts'
import { formatIpv4, parseIpv4WithPrefix } from './ipv4.ts'
import type { Judge } from './judge.ts'
import { canonicalZone } from './known/time-zones.ts'
import { accountsOf, hasMap, pick, pickField } from './layers.ts'
import type { Cluster, Locale, Netroot, Network, Node, NodeInterface, Place, User } from './node.ts'
import { placeOverlays } from './overlay-order.ts'

const defaultLease = '12h'

/** @returns undefined when model or image is missing (reported by lint) */
export function resolveNode(draft: Draft, accounts: Accounts, judge: Judge): Node | undefined {
  const user = accounts.userOf(draft)
  const wifi = accounts.wifiOf(draft)
  const model = pick(draft, 'model')?.value
  const image = pick(draft, 'image')?.value
  if (model === undefined || image === undefined) return undefined
  const os = pick(draft, 'os')?.value
  const router = pick(draft, 'router')?.value
  const mac = pick(draft, 'mac')?.value?.toLowerCase().replaceAll('-', ':')
  const serial = pick(draft, 'serial')?.value?.toLowerCase()
  const storage = pick(draft, 'storage')?.value
  return {
    name: draft.name,
    model,
    image,
    os,
    interfaces: draft.interfaces.map(
      (one): NodeInterface => ({
        name: one.name,
        address: one.address && {
          ip: formatIpv4(one.address.value),
          prefix: one.address.prefix,
          gateway: one.gateway?.value,
        },
        dns: one.dns,
        domain: one.domain,
      }),
    ),
    wifi,
    user,
    locale: hasMap(draft, 'locale') ? resolveLocale(draft) : {},
    overlays: placeOverlays(draft.overlays, judge.placeOf),
    clusterHat: draft.hat,
    boot: pick(draft, 'boot')?.value ?? 'card',
    mac,
    serial,
    role: draft.role === 'head' ? 'head' : 'worker',
    manager: draft.role === 'manager',
    router:
      router?.uplink === undefined || router.lan === undefined
        ? undefined
        : { uplink: router.uplink, lan: router.lan },
    labels: resolveLabels(draft),
    storageBytes: storage === undefined ? undefined : readSize(storage),
    groups: draft.groups,
    place: judge.placeOf(draft.path, 'key'),
    places: placesOf(draft, user, judge),
  }
}

function placesOf(draft: Draft, user: User | undefined, judge: Judge): Map<string, Place> {
  const places = new Map<string, Place>()
  for (const field of localeFields) {
    const path = pickField(draft, 'locale', field)?.path
    if (path !== undefined) places.set(field, judge.placeOf(path))
  }
  if (user !== undefined)
    for (const { said } of accountsOf(draft))
      for (const [what, path] of [
        ['user', said('name')?.path],
        ['shell', said('shell')?.path],
      ] as const)
        if (path !== undefined) places.set(`${what} ${said('name')?.value}`, judge.placeOf(path))
  return places
}

const localeFields = ['timezone', 'keymap', 'keymapVariant', 'locale'] as const

function resolveLocale(draft: Draft): Locale {
  const locale: Locale = {}
  for (const field of localeFields) {
    const value = pickField(draft, 'locale', field)?.value
    if (value !== undefined) locale[field] = field === 'timezone' ? canonicalZone(value) : value
  }
  return locale
}

/** Labels of all layers together. */
function resolveLabels(draft: Draft): Record<string, string> {
  const labels = new Map<string, string>()
  for (const { settings } of draft.layers)
    for (const [key, value] of Object.entries(settings.labels ?? {}))
      if (value !== undefined) labels.set(key, value)
  return Object.fromEntries(labels)
}

/** `8G` → bytes. */
function readSize(text: string): number {
  const power = { M: 2, G: 3, T: 4 }[text.slice(-1)] ?? 0
  return Number(text.slice(0, -1)) * 1024 ** power
}

/** What is about the cluster, not about one node. */
export function resolveCluster(
  file: ClusterFile,
  head: string | undefined,
): Pick<Cluster, 'name' | 'network' | 'join' | 'netroot'> {
  const kind = file.join?.kind ?? 'none'
  const said = file.netroot?.server ?? head
  const server = typeof said === 'object' ? undefined : said
  const outside = typeof said === 'object' ? resolveServer(said) : undefined
  const { layout = 'serial', root = 'auto' } = file.netroot ?? {}
  const netroot = { server, layout, root }
  const network = resolveNetwork(file)
  return {
    name: file.cluster ?? '',
    network,
    join: { kind, head, by: file.join?.by ?? 'pull' },
    netroot: outside === undefined ? netroot : { ...netroot, outside },
  }
}

function resolveServer({ address = '', interface: name }: ServerSettings): Netroot['outside'] {
  const parsed = parseIpv4WithPrefix(address)
  if (parsed === undefined) return undefined
  return { ip: formatIpv4(parsed.address), prefix: parsed.prefix, interface: name }
}

function resolveNetwork({ network }: ClusterFile): Network | undefined {
  if (network?.cidr === undefined) return undefined
  const { cidr, gateway, domain, dhcp } = network
  const range =
    typeof dhcp === 'object' && dhcp.from !== undefined && dhcp.to !== undefined
      ? { from: dhcp.from, to: dhcp.to, lease: dhcp.lease ?? defaultLease }
      : undefined
  return {
    cidr,
    gateway,
    dns: (network.dns ?? []).filter((ip) => ip !== undefined),
    domain,
    dhcp: dhcp === 'proxy' ? dhcp : range,
  }
}
