/**
 * The cluster file: YAML text → Cluster, or every mistake in it at once.
 *
 * text → values with places (yaml-source) → schema (schema-check) → drafts of the
 * nodes (draft) → what doesn't fit together (lint) → Nodes (resolve).
 *
 * Only readCluster touches the disk. The shape is published as
 * schema/cluster.v1.json.
 */
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { isMissing } from '../errno.ts'
import { type Mistake, MistakesError, PiimageError, UsageError } from '../errors.ts'
import { readInput } from '../io/input-file.ts'
import { Secret } from '../secret.ts'
import { readClusterKey } from '../secrets/cluster-key.ts'
import { openAccounts } from './accounts.ts'
import { draftNodes, headDraft } from './draft.ts'
import type { ClusterFile } from './file-shape.ts'
import { type LocalFile, openJudge, type ParseOptions } from './judge.ts'
import { lint } from './lint.ts'
import type { Cluster, Node } from './node.ts'
import { resolveCluster, resolveNode } from './resolve.ts'
import { checkSchema } from './schema-check.ts'
import { parseYaml, type YamlSource } from './yaml-source.ts'

/** What `readCluster` is told; see ParseOptions for the rest. */
export type ReadOptions = Pick<
  ParseOptions,
  'features' | 'images' | 'imageKeys' | 'imageOf' | 'overlayNames'
> & {
  /** What `~/` stands for; the user's own folder unless given. */
  home?: string
  /** In place of reading the files it names from the disk. */
  readLocal?: ParseOptions['readLocal']
  /** Fetches the keys of accounts at GitHub into the cluster file's folder; undefined: no network may be used. */
  pinKeys?: (accounts: readonly string[], folder: string) => Promise<void>
  /** What a relative path starts from; the process' own folder unless given. */
  cwd?: string
}

export interface ParsedCluster {
  /** undefined when there are mistakes. */
  cluster: Cluster | undefined
  /** In reading order. */
  mistakes: Mistake[]
  /** Allowed, and probably not meant. */
  warnings: Mistake[]
  /** Accounts at GitHub whose keys are not there yet. */
  unpinned: readonly string[]
}

/**
 * Read a cluster file and the files it names.
 * @param path as the person gave it; places in messages start with it
 * @throws {MistakesError} every mistake in the file
 * @throws {UsageError} the file is missing, unreadable or no UTF-8 text
 */
export async function readCluster(path: string, options: ReadOptions): Promise<Cluster> {
  const file = resolve(options.cwd ?? '', path)
  return readClusterText(readClusterFile(file, path), path, options)
}

/** @param shownAs as the person gave it @throws {UsageError} missing, unreadable or no UTF-8 text */
export function readClusterFile(file: string, shownAs: string): string {
  let bytes: Uint8Array
  try {
    ;({ bytes } = readInput(file))
  } catch (error) {
    throw explained(shownAs, error as NodeJS.ErrnoException)
  }
  return decode(bytes, shownAs)
}

/** The same of a text that may not be in its file yet. @throws {MistakesError} every mistake in it */
export async function readClusterText(
  text: string,
  path: string,
  { cwd = '', pinKeys, ...options }: ReadOptions,
): Promise<Cluster> {
  const folder = dirname(resolve(cwd, path))
  const parseOptions: ParseOptions = {
    ...options,
    folder,
    home: options.home ?? homedir(),
    readLocal: options.readLocal ?? readLocalFile,
    key: await readClusterKey(join(folder, 'cluster.key')).catch((error) => {
      if (!(error instanceof PiimageError)) throw error
      return { problem: error.message, hint: error.hint ?? '' }
    }),
  }
  let parsed = await parseCluster(text, path, parseOptions)
  if (parsed.unpinned.length > 0 && pinKeys !== undefined) {
    await pinKeys(parsed.unpinned, folder)
    parsed = await parseCluster(text, path, parseOptions)
  }
  if (parsed.cluster === undefined) throw new MistakesError(parsed.mistakes)
  return parsed.cluster
}

/**
 * Judge the text of a cluster file.
 * @param path for places and `Cluster.file`
 * @param options what else it is judged by; the only way it sees other files
 */
export async function parseCluster(
  text: string,
  path: string,
  options: ParseOptions,
): Promise<ParsedCluster> {
  const source = await parseYaml(text, path)
  const judge = openJudge(options, source.placeOf)
  judge.mistakes.push(...source.mistakes)
  const cluster = await parseValues(source, path, judge)
  const mistakes = inReadingOrder(judge.mistakes)
  const warnings = inReadingOrder(judge.warnings)
  const unpinned = [...judge.unpinned]
  if (cluster === undefined || mistakes.length > 0)
    return { cluster: undefined, mistakes, warnings, unpinned }
  const secrets = [...judge.secrets].map((text) => new Secret(text))
  return { cluster: { ...cluster, warnings, secrets }, mistakes, warnings, unpinned }
}

async function parseValues(
  source: YamlSource,
  path: string,
  judge: ReturnType<typeof openJudge>,
): Promise<Omit<Cluster, 'warnings' | 'secrets'> | undefined> {
  if (source.value === undefined) return undefined
  if (source.value === null) {
    judge.mistake([], 'the cluster file is empty', 'piimage init writes one to start from')
    return undefined
  }
  if (typeof source.value !== 'object' || Array.isArray(source.value)) {
    judge.mistake([], 'the cluster file is not a mapping', 'it starts with cluster: and its name')
    return undefined
  }
  for (const { path: at, message, hint, part } of await checkSchema(source, judge.options.features))
    judge.mistake(at, message, hint, part)
  const file = source.value as ClusterFile
  const names = source.keysAt(['nodes']).filter((name) => Object.hasOwn(file.nodes ?? {}, name))
  const drafts = draftNodes(file, [...new Set(names)], judge.options)
  lint({ file, drafts, judge })
  const accounts = openAccounts(judge)
  const nodes = drafts
    .map((draft) => resolveNode(draft, accounts, judge))
    .filter((node): node is Node => node !== undefined)
  const head = headDraft(drafts)?.name
  return { ...resolveCluster(file, head), file: path, folder: judge.options.folder, nodes }
}

function inReadingOrder(mistakes: readonly Mistake[]): Mistake[] {
  return mistakes.toSorted((a, b) => a.line - b.line || a.column - b.column)
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new UsageError(`${path} is not UTF-8 text`, { hint: 'Save it as UTF-8.', cause: error })
  }
}

function explained(path: string, error: NodeJS.ErrnoException): PiimageError {
  if (error instanceof PiimageError) return error
  if (isMissing(error))
    return new UsageError(`there is no cluster file ${path}`, {
      hint: 'Make one with piimage init, or name yours with --cluster FILE.',
      cause: error,
    })
  return new UsageError(`${path} can't be read: ${error.message}`, {
    hint: 'Name a cluster file with --cluster FILE.',
    cause: error,
  })
}

/** A key, password or pass phrase is a few lines; this is where reading stops. */
const longestLocalFile = 256 * 1024

/** A file the cluster file names, from the disk. @throws with `code` as node:fs does */
export function readLocalFile(path: string): LocalFile {
  const { bytes, info } = readInput(path, longestLocalFile)
  const text = bytes.toString('utf8')
  return process.platform === 'win32' ? { text } : { text, mode: info.mode % 0o10000 }
}
