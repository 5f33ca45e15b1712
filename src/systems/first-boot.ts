/**
 * The folder `piimage/` where the boot partition is mounted: what first boot runs.
 *
 * ```
 * install.sh run.sh lib.sh units/   shipped scripts, the same on every node
 * early.d/NN-name.sh                steps without network, run by install.sh
 * firstboot.d/NN-name.sh            steps with network, run by the first-boot unit
 * node.json node.env                who this node is; no secrets
 * files.list files/NNN              files for the root file system: mode owner group target source
 * keys/ network/                    authorized_keys; a candidate per network daemon
 * secrets/                          moved to /etc/piimage/secrets (0600) and wiped from here
 * log/                              written by the node when something failed
 * ```
 *
 * Everything is LF and ASCII-named. The scripts are in firstboot/; their side
 * of this contract is firstboot/README.md.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesOf } from '../boot/boot-files.ts'
import { formatEnvFile } from '../env-file.ts'
import { lastOfEach } from '../node/build-state.ts'
import type { NodeState, RootFile } from '../node/state.ts'
import { earlyOrder, networkOrder } from '../node/step-order.ts'
import type { DetectedOs } from '../node/system.ts'
import { packageRoot } from '../package-root.ts'
import type { Settings } from './settings.ts'

/** @returns the files of the folder, by path in it */
export async function firstBootFiles(
  state: NodeState,
  settings: Settings,
  os: DetectedOs,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  for (const name of ['install.sh', 'run.sh', 'lib.sh']) files.set(name, await readShipped(name))
  for (const name of await listUnits()) files.set(`units/${name}`, await readShipped(`units/${name}`))
  for (const name of new Set(settings.early)) {
    files.set(`early.d/${stepFile(earlyOrder[name], name)}`, await readShipped(`steps/${name}.sh`))
  }
  for (const { phase, order, name, script } of state.steps) {
    files.set(`${phase === 'early' ? 'early.d' : 'firstboot.d'}/${stepFile(order, name)}`, script)
  }
  if (state.steps.some(({ phase }) => phase === 'network')) {
    files.set(`firstboot.d/${stepFile(networkOrder.clock, 'clock')}`, await readShipped('steps/clock.sh'))
  }
  for (const [path, content] of [...settings.payload, ...state.payload]) files.set(path, content)
  for (const [path, content] of [...settings.secretFiles, ...state.secretFiles]) {
    files.set(`secrets/${path}`, bytesOf(typeof content === 'string' ? content : content.reveal()))
  }
  const rootFiles = lastOfEach([...settings.rootFiles, ...state.rootFiles])
  for (const [path, content] of carriedFiles(rootFiles)) files.set(path, content)
  const variables = { ...nodeVariables(state), ...state.environment }
  files.set('node.json', bytesOf(`${JSON.stringify(nodeRecord(state, os), null, 2)}\n`))
  return files.set('node.env', bytesOf(formatEnvFile(variables)))
}

/** `20-user.sh` */
const stepFile = (order: number, name: string): string => `${String(order).padStart(2, '0')}-${name}.sh`

/** For people, on the node: who this is. */
const nodeRecord = ({ node, cluster, image, overlays }: NodeState, os: DetectedOs): object => ({
  node: node.name,
  cluster,
  role: node.role,
  model: node.model,
  image,
  system: `${os.family}-${os.release}`,
  overlays,
})

/** Contents, and the list of where they belong. */
function carriedFiles(rootFiles: readonly RootFile[]): [string, Uint8Array][] {
  if (rootFiles.length === 0) return []
  const files: [string, Uint8Array][] = []
  const lines = rootFiles.map((file) => {
    const { mode, owner, group, path } = file
    const source =
      'secret' in file ? `secrets/${file.secret}` : `files/${String(files.length).padStart(3, '0')}`
    if ('content' in file) files.push([source, file.content])
    return `${mode} ${owner} ${group} ${path} ${source}\n`
  })
  return [...files, ['files.list', bytesOf(lines.join(''))]]
}

/** What every step may rely on; a fact that nobody asked for is not set. */
function nodeVariables({ node, cluster, facts }: NodeState): Record<string, string> {
  const { hostname, user, locale, wifi } = facts
  const variables: Record<string, string | undefined> = {
    PIIMAGE_NODE: node.name,
    PIIMAGE_CLUSTER: cluster,
    PIIMAGE_ROLE: node.role,
    PIIMAGE_HOSTNAME: hostname,
    PIIMAGE_DOMAIN: node.interfaces[0]?.domain,
    PIIMAGE_USER: user?.name,
    PIIMAGE_SUDO_PASSWORD: user === undefined ? undefined : user.sudoPassword ? 'yes' : 'no',
    PIIMAGE_TIMEZONE: locale?.timezone,
    PIIMAGE_KEYMAP: locale?.keymap,
    PIIMAGE_KEYMAP_VARIANT: locale?.keymapVariant,
    PIIMAGE_LOCALE: locale?.locale,
    PIIMAGE_WIFI_COUNTRY: wifi?.country,
  }
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

const shippedPath = (path: string): string => join(packageRoot(), 'firstboot', path)

/** Of this release, so the same for every node. */
const shipped = new Map<string, Promise<Uint8Array>>()

function readShipped(path: string): Promise<Uint8Array> {
  const there = shipped.get(path) ?? readFile(shippedPath(path)).then((bytes) => new Uint8Array(bytes))
  shipped.set(path, there)
  return there
}

let units: Promise<string[]> | undefined

function listUnits(): Promise<string[]> {
  units ??= readdir(shippedPath('units')).then((names) => names.sort())
  return units
}
