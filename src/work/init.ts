/**
 * Start a cluster: a cluster file from a template, the cluster's secret key, and
 * a .gitignore that keeps secrets out of git. Never overwrites: in a folder
 * that has a cluster file already it adds what is missing. The file is judged
 * before anything is written, so the first `plan` finds nothing wrong in it.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { LockedImage } from '../catalog/locked-image.ts'
import { parseCluster, readLocalFile } from '../cluster/cluster-file.ts'
import { MistakesError, UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { createFileAtomically } from '../io/atomic-file.ts'
import { readInputText } from '../io/input-file.ts'
import { giveToPerson, makeOutputFolder } from '../io/ownership.ts'
import { clearDeadParts } from '../io/parts.ts'
import { CLUSTER_KEY_FILE, createClusterKey } from '../secrets/cluster-key.ts'
import { makeEd25519Key } from '../secrets/ed25519-key.ts'
import { sudoPiimage } from '../sudo.ts'
import { JOURNAL_FILE } from './batch-journal.ts'
import type { Caller } from './caller.ts'
import { LOCK_FILE } from './project.ts'
import { fillTemplate, schemaPath, type Template, type TemplateValues } from './template.ts'

/** The pass phrase of the Wi-Fi lies beside the cluster file unless it has a place of its own. */
export const PASSPHRASE_FILE = 'wifi.passphrase'
/** A key pair that is made for the cluster. */
export const LOGIN_KEY_FILE = 'id_ed25519'
/** As `export kubeconfig` is shown to be used. */
const KUBECONFIG_FILE = 'kubeconfig'

export interface InitRequest {
  /** Absolute. */
  folder: string
  /** What `~/` stands for. */
  home: string
  /** What the cluster file is to say; undefined: there is one already. */
  start?: { template: Template; values: Omit<TemplateValues, 'schema'> }
  /** Of the Wi-Fi, to be kept in PASSPHRASE_FILE. */
  passphrase?: string
  /** Make a key pair to log in with, LOGIN_KEY_FILE; `values` names its public half. */
  makeLoginKey?: boolean
  /** An image of the person's own, which `values` names: it goes into the cluster's lock. */
  image?: LockedImage
}

export interface Initialised {
  /** Names below the folder, in the order they were made. */
  made: string[]
  /** Command lines to go on with. */
  next: string[]
}

export const hasClusterFile = (folder: string): boolean => existsSync(join(folder, 'cluster.yaml'))

/**
 * @throws {MistakesError} what the cluster file would have wrong in it; nothing is written
 * @throws {UsageError} another process has just made one of the files
 */
export async function initCluster(request: InitRequest, caller: Caller): Promise<Initialised> {
  const { folder, start, passphrase, image } = request
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    // A key that was half made is a secret under a name that git does not ignore.
    for (const name of [CLUSTER_KEY_FILE, PASSPHRASE_FILE, LOGIN_KEY_FILE, 'cluster.yaml'])
      await clearDeadParts(join(folder, name))
  const text =
    start === undefined
      ? undefined
      : fillTemplate(start.template, { ...start.values, schema: schemaPath(folder) })
  const login = request.makeLoginKey ? makeEd25519Key(randomBytes(32), 'piimage') : undefined
  if (text !== undefined) await judge(text, request, login?.publicLine)

  await makeOutputFolder(folder)
  const made: string[] = []
  const make = async (name: string, makeFile: () => Promise<unknown>) => {
    await makeFile()
    made.push(name)
  }
  const path = (name: string) => join(folder, name)
  if (passphrase !== undefined)
    await make(PASSPHRASE_FILE, () => create(path(PASSPHRASE_FILE), `${passphrase}\n`, 0o600))
  if (login !== undefined) {
    await make(LOGIN_KEY_FILE, () => create(path(LOGIN_KEY_FILE), login.privateKey.reveal(), 0o600))
    await make(`${LOGIN_KEY_FILE}.pub`, () => create(path(`${LOGIN_KEY_FILE}.pub`), `${login.publicLine}\n`))
  }
  if (!existsSync(path(CLUSTER_KEY_FILE)))
    await make(CLUSTER_KEY_FILE, () => createClusterKey(path(CLUSTER_KEY_FILE)))
  if (await addLines(path('.gitignore'), ignoredFiles(request))) made.push('.gitignore')
  if (image !== undefined) {
    const { addImage } = await import('./images.ts')
    await make(LOCK_FILE, () => addImage(image, { cluster: path('cluster.yaml') }, caller))
  }
  // Last: while it is not there, the next run makes what is missing beside it.
  if (text !== undefined) await make('cluster.yaml', () => create(path('cluster.yaml'), text))
  return { made, next: start === undefined ? [] : nextCommands(start.template, start.values, caller) }
}

/** Secrets, what can be had again, and images, which hold host keys. */
function ignoredFiles({ start, makeLoginKey }: InitRequest): string[] {
  return [
    CLUSTER_KEY_FILE,
    PASSPHRASE_FILE,
    ...(makeLoginKey ? [LOGIN_KEY_FILE] : []),
    JOURNAL_FILE,
    KUBECONFIG_FILE,
    '*.img',
    '*.img.*',
    '*.part',
    '*.tar',
    '*.password',
    '*.psk',
    ...(start?.template.fetchedFiles ?? []),
  ]
}

/** From nothing to the first card. */
function nextCommands(
  { fetchCommands, lockCommands, firstNode }: Template,
  { nodes }: Pick<TemplateValues, 'nodes'>,
  { env }: Pick<Caller, 'env'>,
): string[] {
  const first = [...fetchCommands, ...lockCommands]
  const look = first.length > 0 ? [] : ['piimage drives']
  return [
    ...first,
    'piimage plan --all',
    ...look,
    `${sudoPiimage(env)} flash --node ${nodes?.[0]?.name ?? firstNode} DRIVE`,
  ]
}

async function create(path: string, text: string, mode?: number): Promise<void> {
  await createFileAtomically(path, text, mode).catch((error) => {
    if (error.code !== 'EEXIST') throw error
    throw new UsageError(`another process has just made ${path}`, {
      hint: 'Look at it, then run the command again: it adds what is missing.',
      cause: error,
    })
  })
}

/** The rules that `plan` will apply, but for the images: those may have to be locked first. */
async function judge(text: string, request: InitRequest, loginKey: string | undefined): Promise<void> {
  const { folder, home, passphrase } = request
  const toBeWritten = new Map(
    Object.entries({ [PASSPHRASE_FILE]: passphrase, [`${LOGIN_KEY_FILE}.pub`]: loginKey }).map(
      ([name, content]) => [join(folder, name), content],
    ),
  )
  const { mistakes } = await parseCluster(text, 'cluster.yaml', {
    features,
    folder,
    home,
    readLocal(path) {
      const content = toBeWritten.get(path)
      return content === undefined ? readLocalFile(path) : { text: content }
    },
  })
  if (mistakes.length > 0) throw new MistakesError(mistakes)
}

/** @returns whether any of them was not there yet */
async function addLines(path: string, lines: readonly string[]): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false)
    throw new UsageError(`${path} is not a plain file`, {
      hint: 'A link there could lead anywhere: remove it.',
    })
  const text = existsSync(path) ? readInputText(path) : ''
  const there = text.split(/\r?\n/)
  // The last word counts: a rule that takes others back is answered behind it.
  const takenBack = there.findLastIndex((line) => line.startsWith('!'))
  const missing = lines.filter((line) => there.lastIndexOf(line) <= takenBack)
  if (missing.length === 0) return false
  const isNew = !existsSync(path)
  const handle = await open(path, 'a')
  try {
    if (isNew) await giveToPerson(handle, dirname(path))
    await handle.writeFile(`${text === '' || text.endsWith('\n') ? '' : '\n'}${missing.join('\n')}\n`)
  } finally {
    await handle.close()
  }
  return true
}
