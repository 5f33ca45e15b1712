/** The questions of `init` all at once, as a page asks them: what to offer, and what is wrong with each answer. */
import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { newestLite } from '../catalog/short-names.ts'
import { boards, DEFAULT_MODEL, type Model, modelNames } from '../cluster/boards.ts'
import { AnswersError, UsageError } from '../errors.ts'
import type { Caller } from './caller.ts'
import { listImages } from './images.ts'
import { hasClusterFile, type Initialised, initCluster, PASSPHRASE_FILE } from './init.ts'
import { nameOfFolder } from './init-answers.ts'
import {
  type Asker,
  chooseStart,
  DEFAULT_COUNT,
  DEFAULT_COUNTRY,
  type InitField,
  offeredTemplates,
  ownKey,
  readTemplateName,
  type Site,
} from './init-questions.ts'
import { readLocks } from './project.ts'
import { type ClusterRequest, clusterFolder, clusterPath } from './request.ts'
import { PLAIN, readTemplate } from './template.ts'

/** What is asked, with what is there to choose from and what stands there already. */
export interface InitQuestions {
  /** Where it is made. */
  folder: string
  /** `nodes`: these boards and their number are asked for; `before`: run once on a terminal. */
  templates: {
    name: string
    purpose: string
    nodes: boolean
    wifi: { country: string } | null
    before: string[]
  }[]
  boards: { model: Model; title: string; ethernet: boolean; wifi: boolean; arm64: boolean }[]
  nodes: string
  model: Model
  /** The person's own public key; null: there is none. */
  key: string | null
  country: string
  /** The pass phrase of the Wi-Fi lies in the folder. */
  hasPassphrase: boolean
  /** The newest that fits, by architecture. */
  images: Record<'arm64' | 'armhf', OfferedImage | null>
  /** Image files that lie in the folder or among the person's downloads. */
  files: string[]
}

export interface OfferedImage {
  key: string
  /** Bytes; null: not known before. */
  download: number | null
  isHere: boolean
}

/** As chosen and typed; what was not asked is empty. `image` may be `newest`, `login` is `new`, `password` or a key. */
export type InitForm = Record<InitField, string> & {
  /** `yes`: also where every board has Ethernet. */
  wifi: string
}

const IMAGE_FILE = /\.(?:img|img\.xz|img\.gz|img\.zst|zip)$/i
/** Of files in a folder of downloads. */
const MOST_FILES = 20

const siteOf = (request: ClusterRequest, caller: Caller): Site => ({
  folder: clusterFolder(request, caller),
  home: caller.env.HOME ?? homedir(),
  cwd: caller.cwd,
})

/** Whether there is a cluster to start: `init` makes a file of this name, and there is none. */
export const canInit = (request: ClusterRequest, caller: Pick<Caller, 'cwd'>): boolean =>
  basename(clusterPath(request)) === 'cluster.yaml' && !hasClusterFile(clusterFolder(request, caller))

export async function initQuestions(request: ClusterRequest, caller: Caller): Promise<InitQuestions> {
  const site = siteOf(request, caller)
  const { images: locked } = await readLocks(request, caller)
  const { images } = await listImages(request, caller)
  const newest = (arch: 'arm64' | 'armhf'): OfferedImage | null => {
    const key = newestLite(locked, arch)
    const image = images.find((one) => one.key === key)
    return image === undefined
      ? null
      : { key: image.key, download: image.download.size, isHere: image.cached !== null }
  }
  return {
    folder: site.folder,
    templates: offeredTemplates().map((name) => {
      const { purpose, wifi = null, fetchCommands, lockCommands } = readTemplate(name)
      return { name, purpose, nodes: name === PLAIN, wifi, before: [...fetchCommands, ...lockCommands] }
    }),
    boards: modelNames.map((model) => {
      const { title, ethernet, wifi, kernel } = boards[model]
      return {
        model,
        title,
        ethernet,
        wifi,
        arm64: kernel.arm64 !== undefined,
      }
    }),
    nodes: String(DEFAULT_COUNT),
    model: DEFAULT_MODEL,
    key: ownKey(site) ?? null,
    country: DEFAULT_COUNTRY,
    hasPassphrase: existsSync(join(site.folder, PASSPHRASE_FILE)),
    images: { arm64: newest('arm64'), armhf: newest('armhf') },
    files: [site.folder, join(site.home, 'Downloads')].flatMap(imageFiles).slice(0, MOST_FILES),
  }
}

function imageFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && IMAGE_FILE.test(entry.name))
      .map(({ name }) => join(folder, name))
      .sort()
  } catch {
    // A folder that isn't there offers nothing.
    return []
  }
}

/**
 * Start the cluster as `init` does with the same answers.
 * @throws {AnswersError} what is wrong, answer by answer; nothing is made
 */
export async function initFromForm(
  form: InitForm,
  request: ClusterRequest,
  caller: Caller,
): Promise<Initialised> {
  const site = siteOf(request, caller)
  if (!canInit(request, caller))
    throw new UsageError(`${clusterPath(request)} is there already and stays as it is`)
  const answers = new Answers(form, caller.signal)
  return initCluster({ ...site, ...(await answers.read(site, request, caller)) }, caller)
}

/** Each question is answered once; what is wrong with that is kept, and its preset counts from there on. */
class Answers implements Asker {
  readonly #form: InitForm
  readonly signal: AbortSignal
  readonly #problems = new Map<string, UsageError>()
  #last: InitField = 'template'

  constructor(form: InitForm, signal: AbortSignal) {
    this.#form = form
    this.signal = signal
  }

  async read(site: Site, request: ClusterRequest, caller: Caller) {
    try {
      const template = readTemplate(readTemplateName(this.#form.template))
      const names = { template, cluster: nameOfFolder(site.folder) ?? template.name }
      const start = await chooseStart(names, { model: [], password: false }, site, request, caller, this)
      if (this.#problems.size === 0) return start
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      if (this.#problems.size === 0) this.#problems.set(this.#last, error)
    }
    throw new AnswersError(this.#problems)
  }

  ask: Asker['ask'] = async (_question, _options, field) => {
    this.#last = field
    // So that the rest is looked at, too.
    if (this.#problems.has(field)) return field === 'login' ? 'new' : undefined
    const answer = this.#form[field]
    if (field === 'image' && answer === 'newest') return ''
    const isMissing = answer.trim() === '' && (field !== 'ssid' || this.#form.wifi === 'yes')
    if (isMissing && field in WHAT) {
      this.#problems.set(field, new UsageError(WHAT[field] as string))
      return field === 'login' ? 'new' : undefined
    }
    return answer
  }

  complain: Asker['complain'] = (error) => {
    // There is no other answer.
    if (this.#problems.has(this.#last)) throw error
    this.#problems.set(this.#last, error)
  }
}

/** What has no answer by itself once it was chosen. */
const WHAT: Partial<Record<InitField, string>> = {
  models: 'which board?',
  image: 'which image file?',
  login: 'which public key?',
  ssid: 'which network?',
}
