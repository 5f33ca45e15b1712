/**
 * The kinds of edits that an overlay.yaml can have, one key each: what each does, in
 * words for overlays/README.md, and how its value becomes an edit of one node.
 *
 * Their form is schema/overlay.v1.json; what they do to a node stands beside
 * the type of edits (src/node/).
 */
import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { bytesOf } from '../boot/boot-files.ts'
import { parseUserData, type TreeMap } from '../boot/cloud-init.ts'
import { envName } from '../env-file.ts'
import { UsageError } from '../errors.ts'
import type { Edit, SystemFactName } from '../node/edits.ts'
import type { Phase } from '../node/state.ts'
import { packageRoot } from '../package-root.ts'
import { oneLine, oneWord, showValue } from '../plain-value.ts'
import { copiedFiles, type RawCopy } from './copied-files.ts'
import type { Overlay } from './overlay.ts'
import { type Reach, readText } from './overlay-files.ts'
import { fillFile, type Lookup } from './placeholders.ts'
import { checkSharedIdentity } from './shared-identity.ts'
import type { LookupUse, Subject } from './values.ts'

/** What an edit is made for. */
export interface EditContext {
  overlay: Overlay
  subject: Subject
  /** The overlay's, completed. */
  parameters: Record<string, unknown>
  /** For the content of files. */
  lookup: Lookup
  /** Where its paths may lead. */
  reach: Reach
}

/** What one edit adds to the overlay it stands in. */
export interface Made {
  edits?: Edit[]
  /** Trees that are merged after those of every other overlay. */
  lastTrees?: TreeMap[]
  /** Variables of steps. */
  environment?: Record<string, string>
}

interface EditKind {
  /** A line of the documentation. */
  does: string
  /** What its placeholders may ask for; default `text`. */
  use?: LookupUse
  /** Keys of its value that are not filled in here. */
  verbatim?: readonly string[]
  /** The key of a path that the cluster file's owner may give. */
  path?: string
  /** @param value placeholders filled in */
  make: (value: never, context: EditContext) => Made | Promise<Made>
}

export const editKinds: Record<string, EditKind> = {
  system: {
    does: 'facts that each system says in its own way: `hostname`, `user`, `ssh`, `network`, `wifi`, `locale`, `host-keys`',
    use: 'system',
    make: (facts: Partial<Record<SystemFactName, unknown>>) => ({ edits: [{ kind: 'system', facts }] }),
  },
  cmdline: {
    does: '`add`, `set`, `remove` tokens of cmdline.txt',
    make: (value: RawCmdline) => ({ edits: [cmdlineEdit(value)] }),
  },
  config: {
    does: '`lines` of config.txt, under a `filter` (`all` unless given)',
    make: (value: RawConfig) => ({ edits: [configEdit(value)] }),
  },
  'cloud-init': {
    does: '`merge` a fragment into user-data, or a `file`: one in the folder, or a parameter that names one beside the cluster file',
    path: 'file',
    make: cloudInitEdit,
  },
  file: {
    does: 'a file on the boot partition, or with `on: root` (and `mode`, `owner`, `group`) on the root file system; `content` inline or `from` a file in the folder',
    // Placeholders in the content of a file name their quoting.
    verbatim: ['content'],
    make: async (value: RawFile, context) => ({ edits: [await fileEdit(value, context)] }),
  },
  materials: {
    does: 'texts that piimage makes, by name; see below',
    make: (names: string[]) => ({ edits: [{ kind: 'materials', names }] }),
  },
  copy: {
    does: 'a file or a folder of files `to` a place in the payload, `from` the folder, or from beside the cluster file where a parameter names it; with its digest (`NAME.sha256`, of a folder `SHA256SUMS`); a `program` is for the image’s kind of processor and holds that text',
    path: 'from',
    make: async (value: RawCopy, { reach, overlay, subject }) => ({
      edits: [
        {
          kind: 'copies',
          files: await copiedFiles(value, reach, `overlay ${overlay.name}`, subject.image.arch),
        },
      ],
    }),
  },
  firstboot: {
    does: 'run `script` once as root: `phase: early` (before there is network) or `network`, `order` 0–99; parameters are in the environment as `PIIMAGE_<OVERLAY>_<PARAMETER>`',
    // What a node does not have is left out of a script's environment.
    use: 'condition',
    make: async (value: RawFirstboot, { overlay, parameters, reach }) => ({
      edits: [await firstbootEdit(value, overlay, reach)],
      environment: parameterEnvironment(overlay.name, parameters),
    }),
  },
}

export function editKindOf(key: string): EditKind {
  const kind = Object.hasOwn(editKinds, key) ? editKinds[key] : undefined
  if (kind === undefined) throw new Error(`overlay.v1.json knows the edit ${key}, and this table does not`)
  return kind
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
  { overlay, reach, subject }: EditContext,
): Promise<Made> {
  const { node, os } = subject
  const where = `overlay ${overlay.name}`
  const made: Made = {}
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
      throw new UsageError(`${where}: the cloud-init fragment is not a mapping: ${showValue(String(merge))}`)
    }
    checkSharedIdentity(merge as TreeMap, where, overlay.name, subject)
    made.edits = [{ kind: 'cloud-init', tree: merge as TreeMap }]
  }
  if (file !== undefined && file !== null) {
    const path = String(file)
    const tree = parseUserData(await readText(path, reach, where), path)
    checkSharedIdentity(tree, path, overlay.name, subject)
    made.lastTrees = [tree]
  }
  return made
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

async function fileEdit(file: RawFile, { overlay, lookup, reach }: EditContext): Promise<Edit> {
  const { path } = file
  const where = `overlay ${overlay.name}, file ${path}`
  const text = file.content ?? (await readText(file.from ?? '', { ...reach, isGiven: false }, where))
  const content = bytesOf(fillFile(text, lookup, where))
  if (file.on !== 'root') return { kind: 'boot-file', path: bootPath(path, where), content }
  if (
    !isAbsolute(path) ||
    path.split('/').some((part) => part === '..' || part === '.') ||
    path.endsWith('/')
  ) {
    throw new UsageError(`${where}: a path on the root file system is absolute and without ".."`, {
      hint: 'Write /etc/… .',
    })
  }
  const { mode = '0644', owner = 'root', group = owner } = file
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

interface RawFirstboot {
  phase: Phase
  order: number
  script: string
  environment?: Record<string, unknown>
}

async function firstbootEdit(
  { phase, order, script, environment = {} }: RawFirstboot,
  overlay: Overlay,
  reach: Reach,
): Promise<Edit> {
  const where = `overlay ${overlay.name}, script ${script}`
  const steps = join(packageRoot(), 'firstboot/steps')
  const isShipped = !existsSync(join(overlay.folder, script)) && existsSync(join(steps, script))
  const folder = isShipped ? steps : overlay.folder
  const text = await readText(script, { ...reach, folder, isGiven: false }, where)
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
