/**
 * The folder `piimage/` on the boot partition: what first boot runs.
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
import { PAYLOAD } from '../boot/payload-paths.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { formatEnvFile } from '../env-file.ts'
import type { SystemFacts } from '../node/edits.ts'
import { packageRoot } from '../package-root.ts'
import { type BootDraft, earlySteps, reveal, stepFile } from './boot-draft.ts'
import { earlyOrder, networkOrder } from './step-order.ts'

/** Read by a re-customisation, by `inspect`, and by people. */
export interface NodeRecord {
  node: string
  cluster: string
  role: Node['role']
  model: Node['model']
  image: string
  system: string
  overlays: string[]
  /** Tokens that were added to cmdline.txt: the next plan takes them out first. */
  cmdline: string[]
  /** Files outside piimage/ that were added: the next plan removes those it does not want. */
  files: string[]
}

/** @returns the files of the folder, paths from the partition's root */
export async function payloadFiles(
  draft: BootDraft,
  facts: SystemFacts,
  { node, cluster }: { node: Node; cluster: Cluster },
  record: NodeRecord,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  const put = (path: string, content: Uint8Array) => files.set(`${PAYLOAD}/${path}`, content)
  for (const name of ['install.sh', 'run.sh', 'lib.sh']) put(name, await readShipped(name))
  for (const name of await listShipped('units')) put(`units/${name}`, await readShipped(`units/${name}`))
  for (const name of earlySteps(draft)) {
    put(`early.d/${stepFile(earlyOrder[name], name)}`, await readShipped(`steps/${name}.sh`))
  }
  for (const { phase, order, name, script } of draft.steps) {
    put(`${phase === 'early' ? 'early.d' : 'firstboot.d'}/${stepFile(order, name)}`, script)
  }
  if (draft.steps.some(({ phase }) => phase === 'network')) {
    put(`firstboot.d/${stepFile(networkOrder.clock, 'clock')}`, await readShipped('steps/clock.sh'))
  }
  for (const [path, content] of draft.payload) put(path, content)
  for (const [path, content] of draft.secretFiles) {
    put(`secrets/${path}`, bytesOf(typeof content === 'string' ? content : reveal(draft, content)))
  }
  putRootFiles(draft, put)
  put('node.json', bytesOf(`${JSON.stringify(record, null, 2)}\n`))
  put('node.env', bytesOf(formatEnvFile({ ...nodeVariables(facts, node, cluster), ...draft.environment })))
  return files
}

function putRootFiles(draft: BootDraft, put: (path: string, content: Uint8Array) => void): void {
  if (draft.rootFiles.length === 0) return
  let count = 0
  const lines = draft.rootFiles.map((file) => {
    const { mode, owner, group, path } = file
    const source = 'secret' in file ? `secrets/${file.secret}` : `files/${String(count++).padStart(3, '0')}`
    if ('content' in file) put(source, file.content)
    return `${mode} ${owner} ${group} ${path} ${source}\n`
  })
  put('files.list', bytesOf(lines.join('')))
}

/** What every step may rely on; a fact that nobody asked for is not set. */
function nodeVariables(facts: SystemFacts, node: Node, cluster: Cluster): Record<string, string> {
  const { hostname, user, locale, wifi } = facts
  const variables: Record<string, string | undefined> = {
    PIIMAGE_NODE: node.name,
    PIIMAGE_CLUSTER: cluster.name,
    PIIMAGE_ROLE: node.role,
    PIIMAGE_HOSTNAME: hostname,
    PIIMAGE_DOMAIN: node.interfaces[0]?.domain,
    PIIMAGE_USER: user?.name,
    PIIMAGE_SUDO_PASSWORD: user === undefined ? undefined : user.sudoPassword ? 'yes' : 'no',
    PIIMAGE_TIMEZONE: locale?.timezone,
    PIIMAGE_KEYMAP: locale?.keymap,
    PIIMAGE_LOCALE: locale?.locale,
    PIIMAGE_WIFI_COUNTRY: wifi?.country,
  }
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

const shippedPath = (path: string): string => join(packageRoot(), 'firstboot', path)

async function readShipped(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(shippedPath(path)))
}

async function listShipped(folder: string): Promise<string[]> {
  return (await readdir(shippedPath(folder))).sort()
}
