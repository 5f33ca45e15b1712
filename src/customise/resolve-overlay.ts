/**
 * One overlay as one node uses it: parameters checked and completed,
 * conditions decided, placeholders filled in. Reads the overlay's own files.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isAbsolute, join, resolve, sep } from 'node:path'
import { bytesOf } from '../boot/boot-files.ts'
import { parseUserData, type TreeMap } from '../boot/cloud-init.ts'
import { boards, modelsWith } from '../cluster/boards.ts'
import type { OverlayUse } from '../cluster/node.ts'
import { envName } from '../env-file.ts'
import { type Mistake, MistakesError, UsageError } from '../errors.ts'
import type { Edit, Phase, SystemFactName } from '../node/edits.ts'
import { packageRoot } from '../package-root.ts'
import { oneLine, oneWord, showValue } from '../plain-value.ts'
import { copiedFiles, type RawCopy } from './copied-files.ts'
import { explain, type Overlay, type RawEdit } from './overlay.ts'
import { fillFile, fillTree } from './placeholders.ts'
import { lookupIn, type Subject } from './values.ts'

export interface ResolvedOverlay {
  name: string
  edits: Edit[]
  /** Trees that are merged after those of every other overlay. */
  lastTrees: TreeMap[]
  /** `PIIMAGE_<OVERLAY>_<PARAM>` of an overlay that runs steps. */
  environment: Record<string, string>
}

/**
 * @throws {UsageError} a parameter, a need or a value that does not fit this node
 */
export async function resolveOverlay(
  overlay: Overlay,
  use: OverlayUse,
  subject: Subject,
): Promise<ResolvedOverlay> {
  const parameters = completeParameters(overlay, use, subject.node.name)
  checkNeeds(overlay, subject)
  const where = `overlay ${overlay.name}`
  const plainLookup = lookupIn(subject, overlay.name, parameters, 'text')
  const conditionLookup = lookupIn(subject, overlay.name, parameters, 'condition')
  const systemLookup = lookupIn(subject, overlay.name, parameters, 'system')
  const resolved: ResolvedOverlay = { name: overlay.name, edits: [], lastTrees: [], environment: {} }
  for (const raw of overlay.edits) {
    if (!applies(raw.when, conditionLookup)) continue
    // What a node does not have is left out of a script's environment.
    const lookup = 'system' in raw ? systemLookup : 'firstboot' in raw ? conditionLookup : plainLookup
    const said = withoutContent(raw)
    const filled = fillTree(said, lookup, where) as RawEdit
    if ('system' in filled)
      resolved.edits.push({
        kind: 'system',
        facts: filled.system as Partial<Record<SystemFactName, unknown>>,
      })
    else if ('cmdline' in filled) resolved.edits.push(cmdlineEdit(filled.cmdline as RawCmdline))
    else if ('config' in filled) resolved.edits.push(configEdit(filled.config as RawConfig))
    else if ('cloud-init' in filled)
      await cloudInitEdit(filled['cloud-init'] as RawCloudInit, subject, where, resolved)
    else if ('file' in filled)
      resolved.edits.push(await fileEdit(raw.file as RawFile, filled.file as RawFile, overlay, plainLookup))
    else if ('materials' in filled)
      resolved.edits.push({ kind: 'materials', names: filled.materials as string[] })
    else if ('copy' in filled)
      resolved.edits.push({
        kind: 'copies',
        files: await copiedFiles(filled.copy as RawCopy, subject, where),
      })
    else {
      resolved.edits.push(await firstbootEdit(filled.firstboot as RawFirstboot, overlay))
      Object.assign(resolved.environment, parameterEnvironment(overlay.name, parameters))
    }
  }
  return resolved
}

/** Placeholders in the content of a file name their quoting; they are filled in by `fillFile`. */
function withoutContent({ when: _, ...said }: RawEdit): RawEdit {
  if (!('file' in said)) return said
  const { content: __, ...file } = said.file as RawFile
  return { file }
}

function completeParameters(overlay: Overlay, use: OverlayUse, node: string): Record<string, unknown> {
  const parameters: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(overlay.parameters)) {
    if ('default' in schema) parameters[name] = structuredClone(schema.default)
  }
  Object.assign(parameters, use.parameters)
  const messages = overlay.validateParameters(parameters)
    ? wrongChoice(overlay, parameters)
    : explain(overlay.validateParameters.errors ?? [])
  if (messages.length === 0) return parameters
  const known = Object.keys(overlay.parameters)
  const hint =
    known.length === 0 ? `${overlay.name} takes no parameters` : `${overlay.name} takes ${known.join(', ')}`
  const { place } = use
  if (place !== undefined) {
    throw new MistakesError(
      messages.map(
        ({ message }): Mistake => ({ ...place, message: `overlay ${overlay.name}: ${message}`, hint }),
      ),
    )
  }
  throw new UsageError(
    `node ${node}, overlay ${overlay.name}: ${messages.map(({ message }) => message).join('; ')}`,
    {
      hint: `${hint}.`,
    },
  )
}

function wrongChoice({ choice }: Overlay, parameters: Record<string, unknown>): { message: string }[] {
  return choice.flatMap((names) => {
    const given = names.filter((name) => parameters[name] !== null && parameters[name] !== undefined)
    if (given.length === 1) return []
    return [{ message: `must have ${given.length === 0 ? '' : 'only '}one of ${names.join(', ')}` }]
  })
}

const withDevicePort = modelsWith(({ devicePort }) => devicePort)

function checkNeeds(overlay: Overlay, { node, os, image }: Subject): void {
  const met: Record<Overlay['needs'][number], boolean> = {
    arm64: image.arch === 'arm64',
    'cloud-init': os.traits.cloudInit,
    user: node.user !== undefined,
    wifi: node.wifi !== undefined,
    address: node.interfaces.some(({ address }) => address !== undefined),
    'usb-device-port': boards[node.model].devicePort && node.clusterHat === undefined,
    'kernel-6': os.traits.kernel >= 6,
  }
  const hints: Record<Overlay['needs'][number], string> = {
    arm64: 'Use a 64-bit image (arm64) for this node.',
    'cloud-init': 'Raspberry Pi OS Trixie and HypriotOS have it; on others, say it with other overlays.',
    user: 'Give the cluster file a user:.',
    wifi: 'Give the node or the cluster a wifi:.',
    address: 'Give the node an address:.',
    'usb-device-port': `Of the boards, ${withDevicePort.join(', ')} have one; a ClusterCTRL image sets its own up.`,
    'kernel-6': 'Raspberry Pi OS has Linux 6 since Bookworm; HypriotOS ended with Linux 4.',
  }
  for (const need of overlay.needs) {
    if (met[need]) continue
    throw new UsageError(`node ${node.name} cannot have the overlay ${overlay.name}: it needs ${need}`, {
      hint: hints[need],
    })
  }
}

function applies(when: Record<string, unknown> | undefined, lookup: (path: string) => unknown): boolean {
  return Object.entries(when ?? {}).every(([path, wanted]) => {
    const value = lookup(path)
    return Array.isArray(wanted) ? wanted.includes(value) : wanted === value
  })
}

interface RawCmdline {
  add?: unknown[]
  set?: Record<string, unknown>
  remove?: unknown[]
}

const cmdlineEdit = ({ add, set, remove }: RawCmdline): Edit => ({
  kind: 'cmdline',
  edit: {
    remove: remove?.map(String),
    set: set && Object.fromEntries(Object.entries(set).map(([k, v]) => [k, String(v)])),
    add: add?.map(String),
  },
})

interface RawConfig {
  filter?: string
  lines: Record<string, unknown>
}

const configEdit = ({ filter = 'all', lines }: RawConfig): Edit => ({
  kind: 'config',
  lines: Object.entries(lines).flatMap(([key, values]) =>
    (Array.isArray(values) ? values : [values]).map((value) => ({ filter, key, value: String(value) })),
  ),
})

interface RawCloudInit {
  merge?: unknown
  file?: unknown
}

async function cloudInitEdit(
  { merge, file }: RawCloudInit,
  subject: Subject,
  where: string,
  resolved: ResolvedOverlay,
): Promise<void> {
  const { node, cluster, os } = subject
  if (!os.traits.cloudInit) {
    throw new UsageError(
      `${where} has cloud-init settings, and the image of node ${node.name} does not run cloud-init`,
      {
        hint: 'Put "when: { os.cloudInit: true }" beside them, or use another image.',
      },
    )
  }
  if (merge !== undefined && merge !== null) {
    if (typeof merge !== 'object' || Array.isArray(merge)) {
      throw new UsageError(`${where}: the cloud-init fragment is no mapping: ${showValue(String(merge))}`)
    }
    resolved.edits.push({ kind: 'cloud-init', tree: merge as TreeMap })
  }
  if (file !== undefined && file !== null) {
    const path = resolve(cluster.folder, String(file))
    resolved.lastTrees.push(parseUserData(await readBeside(path, where), path))
  }
}

async function readBeside(path: string, where: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new UsageError(`${where}: ${path} cannot be read: ${(error as Error).message}`, {
      hint: 'Paths are relative to the cluster file (cloud-init) or to the overlay folder (from, script).',
      cause: error,
    })
  }
}

interface RawFile {
  path: string
  on?: 'boot' | 'root'
  content?: string
  from?: string
  mode?: string
  owner?: string
  group?: string
}

async function fileEdit(
  raw: RawFile,
  filled: RawFile,
  overlay: Overlay,
  lookup: (path: string) => unknown,
): Promise<Edit> {
  const where = `overlay ${overlay.name}, file ${filled.path}`
  const text = raw.content ?? (await readBeside(inFolder(overlay.folder, raw.from ?? ''), where))
  const content = bytesOf(fillFile(text, lookup, where))
  if (filled.on !== 'root') return { kind: 'boot-file', path: bootPath(filled.path, where), content }
  const path = filled.path
  if (
    !isAbsolute(path) ||
    path.split('/').some((part) => part === '..' || part === '.') ||
    path.endsWith('/')
  ) {
    throw new UsageError(`${where}: a path on the root file system is absolute and without ".."`, {
      hint: 'Write /etc/… .',
    })
  }
  const { mode = '0644', owner = 'root', group = owner } = filled
  return { kind: 'root-file', file: { path: oneWord(path, where), content, mode, owner, group } }
}

/** What the firmware and we ourselves own; an overlay that replaces one of these has another kind of edit for it. */
const ownNames =
  /^(?:cmdline\.txt|config\.txt|user-data|meta-data|network-config|piimage(?:\/.*)?|piimage-receipt\.json)$/i

/** @throws {UsageError} no path that an overlay or a person may put a file at */
export function bootPath(path: string, where: string): string {
  oneLine(path, where)
  const parts = path.split('/')
  if (
    isAbsolute(path) ||
    parts.some((part) => part === '' || part === '.' || part === '..') ||
    /[\\:*?"<>|]/.test(path)
  ) {
    throw new UsageError(
      `${where}: a path on the boot partition is relative, without ".." and without \\ : * ? " < > |`,
      {
        hint: 'Write it as name or folder/name.',
      },
    )
  }
  if (ownNames.test(path)) {
    throw new UsageError(`${where}: that file is not an overlay's to replace`, {
      hint: 'Use cmdline:, config:, cloud-init: or firstboot: for it.',
    })
  }
  return path
}

function inFolder(folder: string, path: string): string {
  const full = join(folder, path)
  if (!full.startsWith(folder + sep)) throw new UsageError(`${path} leads out of ${folder}`)
  return full
}

interface RawFirstboot {
  phase: Phase
  order: number
  script: string
  environment?: Record<string, unknown>
}

async function firstbootEdit(
  { phase, order, script, environment = {} }: RawFirstboot,
  overlay: Overlay,
): Promise<Edit> {
  const where = `overlay ${overlay.name}, script ${script}`
  const own = inFolder(overlay.folder, script)
  const shipped = join(packageRoot(), 'firstboot/steps', script)
  const text = await readBeside(!existsSync(own) && existsSync(shipped) ? shipped : own, where)
  if (text.includes('\r')) {
    throw new UsageError(`${where} has Windows line ends`, {
      hint: 'sh reads them as part of the commands: save it with LF.',
    })
  }
  const base = script.slice(script.lastIndexOf('/') + 1).replace(/\.sh$/, '')
  const isNamedAfterIt = base === overlay.name || base.startsWith(`${overlay.name}-`)
  const name = isNamedAfterIt ? base : `${overlay.name}-${base}`
  return {
    kind: 'firstboot',
    step: { name, phase, order, script: bytesOf(text) },
    environment: Object.fromEntries(
      Object.entries(environment)
        .filter(([, value]) => value !== null)
        .map(([key, value]) => [variable(overlay.name, key), String(value)]),
    ),
  }
}

const variable = (overlay: string, name: string): string => `PIIMAGE_${envName(overlay)}_${envName(name)}`

/** Scalars as they are, lists of scalars with spaces between, anything else as JSON; what was left out is not set. */
function parameterEnvironment(overlay: string, parameters: Record<string, unknown>): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null) continue
    const words =
      Array.isArray(value) && value.every((item) => /^\S+$/.test(String(item)) && typeof item !== 'object')
    environment[variable(overlay, name)] = words
      ? (value as unknown[]).join(' ')
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value)
  }
  return environment
}
