/**
 * A node's state and an image → what the medium gets: a card's boot partition,
 * or what a server gives by TFTP and NFS. In stages, each a value that only the
 * one before it can make: settings, content, start.
 */
import { createHash } from 'node:crypto'
import { bytesOf, readText } from '../boot/boot-files.ts'
import { editCmdline, formatCmdline } from '../boot/cmdline-txt.ts'
import { editConfigTxt } from '../boot/config-txt.ts'
import { PAYLOAD } from '../boot/payload-paths.ts'
import { FormatError, UsageError } from '../errors.ts'
import { selectBoot, withFiles } from '../firmware/boot-selection.ts'
import type { SettingLine } from '../firmware/config-txt.ts'
import type { NodeState } from '../node/state.ts'
import type { Medium, SystemImage } from './family.ts'
import { firstBootFiles } from './first-boot.ts'
import type { Settings } from './settings.ts'

/** All of a node but what starts its first boot. */
interface Content {
  settings: Settings
  /** Files where the system mounts its boot partition, by path. */
  files: ReadonlyMap<string, Uint8Array>
  /** config.txt; undefined: the image has none, and none is needed. */
  config: string | undefined
  line: CommandLine
}

/** Where the firmware of the node's board reads the kernel's command line. */
interface CommandLine {
  path: string
  because?: SettingLine
  /** What may lead a board to another file, and can't be told here. */
  warnings: string[]
}

/** A card's boot partition. */
export interface CardFiles {
  /** Every file that the node needs, by path; those that stay as the image has them, too. */
  files: ReadonlyMap<string, Uint8Array>
  /** Kernel parameters that were added: another plan for the card takes them out first. */
  added: string[]
  warnings: readonly string[]
}

/**
 * @throws {UsageError} a setting that this system doesn't have
 * @throws {FormatError} a file of the image that can't be edited
 */
export async function renderCard(state: NodeState, image: SystemImage): Promise<CardFiles> {
  checkGiven(state, image)
  const start = image.family.start(image.os, state)
  const { settings, files: content, config, line } = await makeContent(state, image, 'card', start.payload)
  if (line.path !== 'cmdline.txt' && image.os.trigger === 'init') throw otherLine(line)
  const kernel = withEdits(image.kernel, settings, state)
  const files = new Map(content)
  if (config !== undefined) files.set('config.txt', bytesOf(config))
  const started = start.card(kernel, identityOf(state, files, kernel))
  for (const [path, bytes] of started.files) files.set(path, bytes)
  files.set(line.path, bytesOf(formatCmdline(started.kernel)))
  return {
    files,
    added: kernel.filter((token) => !image.kernel.includes(token)),
    warnings: [...settings.warnings, ...replacedIdentity(state), ...line.warnings],
  }
}

/** A node as its server gives it, but for what the server adds of itself: addresses and paths. */
export interface ServedSystem {
  image: SystemImage
  /** Kernel parameters: the image's own and the node's, none of a card's. */
  kernel: string[]
  /** Path of the file that the firmware reads them from. */
  line: string
  /** config.txt, the image's with the node's lines. */
  config: string
  /** Files beside the kernel, in place of the image's. */
  bootFiles: ReadonlyMap<string, Uint8Array>
  /** Files where the system mounts its boot partition, by path: what its first boot reads. */
  firstBoot: ReadonlyMap<string, Uint8Array>
  warnings: readonly string[]
}

/** @throws as renderCard */
export async function renderServed(state: NodeState, image: SystemImage): Promise<ServedSystem> {
  const { settings, files, config = '', line } = await makeContent(state, image, 'net', new Map())
  const kernel = withEdits(image.family.served.kernel(image.kernel), settings, state)
  const identity = identityOf(state, new Map([...files, ['config.txt', bytesOf(config)]]), kernel)
  const started = image.family.start(image.os, state).served(kernel, identity)
  return {
    image,
    kernel: started.kernel,
    line: line.path,
    config,
    bootFiles: state.bootFiles,
    firstBoot: new Map([...files, ...started.files]),
    warnings: settings.warnings,
  }
}

async function makeContent(
  state: NodeState,
  image: SystemImage,
  medium: Medium,
  payload: ReadonlyMap<string, Uint8Array>,
): Promise<Content> {
  const { family, os, boot } = image
  const settings = await family.settle(state, image, medium)
  const files = new Map([...settings.seed, ...state.bootFiles])
  const before = state.given.configTxt ?? (await readText(boot, 'config.txt'))
  const after = editConfigTxt(before ?? '', [...settings.config, ...state.config])
  const config = before === undefined && after === '' ? undefined : after
  const line = await findLine(state, image, new Map([...files, ['config.txt', bytesOf(after)]]))
  // install.sh takes its trigger out of that file again.
  const environment =
    line.path === 'cmdline.txt' ? state.environment : { ...state.environment, PIIMAGE_CMDLINE: line.path }
  const firstBoot = await firstBootFiles({ ...state, environment }, settings, os)
  for (const [path, bytes] of [...payload, ...firstBoot]) files.set(`${PAYLOAD}/${path}`, bytes)
  return { settings, files, config, line }
}

async function findLine(
  { node }: NodeState,
  { boot }: SystemImage,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<CommandLine> {
  const { cmdline, settings } = await selectBoot(withFiles(boot, files), node.model, node)
  const decides = ['cmdline', 'os_prefix', 'kernel', 'device_tree', 'include']
  const warnings = settings.uncertain
    .filter(({ key }) => decides.includes(key))
    .map(
      ({ file, line, filter, key, value }) =>
        `${file}:${line}: ${key}=${value} under ${filter} may give the board other files than those edited here`,
    )
  return { path: cmdline.path, because: cmdline.because, warnings }
}

function otherLine({ path, because }: CommandLine): FormatError {
  const where = because === undefined ? 'config.txt' : `${because.file}:${because.line}`
  return new FormatError(
    `${where} has the command line in ${path}, and this system's first boot needs it in cmdline.txt`,
    {
      hint: 'Take the setting out of config.txt, or use a newer release.',
    },
  )
}

/** The family's edits first: an overlay's own come over them. */
const withEdits = (kernel: readonly string[], settings: Settings, state: NodeState): string[] =>
  [...settings.kernel, ...state.kernel].reduce<string[]>(
    (tokens, edit) => editCmdline(tokens, edit),
    [...kernel],
  )

/** Digest of all that the node starts from, in the form cloud-init takes. */
function identityOf(
  { node }: NodeState,
  files: ReadonlyMap<string, Uint8Array>,
  kernel: readonly string[],
): string {
  const digest = createHash('sha256')
  for (const [path, content] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    digest.update(`${path}\0${content.length}\0`).update(content)
  }
  digest.update(kernel.join(' '))
  return `piimage-${node.name}-${digest.digest('hex').slice(0, 12)}`
}

function replacedIdentity({ given: { metaData = {} } }: NodeState): string[] {
  if (metaData['instance-id'] === undefined && metaData.instance_id === undefined) return []
  return ['the instance-id of the given meta-data is replaced: it follows from the settings']
}

function checkGiven({ given }: NodeState, { os }: SystemImage): void {
  if (os.traits.cloudInit) return
  const name =
    given.userData !== undefined ? 'user-data' : given.metaData !== undefined ? 'meta-data' : undefined
  if (name === undefined) return
  throw new UsageError(`${name} is for cloud-init, and this image does not run it`, {
    hint: 'Raspberry Pi OS Trixie, Ubuntu Server and HypriotOS do; on others, say it with overlays.',
  })
}
