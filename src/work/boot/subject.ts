/** What is to be started, and what it must be once it is up: a node of the cluster file, or an image or card as it is. */
import { resolve } from 'node:path'
import { type BootFiles, readText } from '../../boot/boot-files.ts'
import { NODE_RECORD, PAYLOAD } from '../../boot/payload-paths.ts'
import { boards, DEFAULT_MODEL, type Model, modelNames } from '../../cluster/boards.ts'
import { parseIpv4WithPrefix } from '../../cluster/ipv4.ts'
import type { Node } from '../../cluster/node.ts'
import { bootFilesOfVolume } from '../../customise/apply-boot-plan.ts'
import type { Range } from '../../disk/blocks.ts'
import { openBootVolume } from '../../disk/boot-volume.ts'
import { Changes } from '../../disk/changes.ts'
import type { FatVolume } from '../../disk/fat/volume.ts'
import { RangeFeed } from '../../disk/range-feed.ts'
import { walkUsedRanges } from '../../disk/used-ranges.ts'
import { openCard } from '../../drives/open-card.ts'
import { UsageError } from '../../errors.ts'
import { findIdentityFiles } from '../../export/identity-file.ts'
import { hasDerivedHostKey } from '../../export/known-hosts.ts'
import { withoutComment } from '../../secrets/authorized-keys.ts'
import { lookIntoPacked } from '../../unpack/packed-file.ts'
import type { Caller } from '../caller.ts'
import { type BaseImages, openBases } from '../image-pipeline.ts'
import { buildNodeImage } from '../node-image.ts'
import { openNodes } from '../one-off.ts'
import { chooseNodes, type Project } from '../project.ts'
import type { BootRequest } from './request.ts'

export interface Subject {
  /** The node's, or the path as it was written. */
  name: string
  model: Model
  serial?: string
  mac?: string
  /** All of the card; what is changed for the run is laid over. */
  image: Changes
  /** What of the image is used. */
  used: readonly Range[]
  expected: Expected
}

export interface Expected {
  hostname?: string
  /** `ssh-ed25519 AAAA…` */
  hostKey?: string
  /** Dotted quad on the wired interface; undefined: DHCP. */
  address?: { ip: string; prefix: number; gateway?: string }
  login?: {
    user: string
    /** `TYPE BASE64`: who may log in. */
    keys: string[]
    /** The person's own private key, where it is here. */
    identity?: string
  }
  memoryCgroup: boolean
  /** Whether piimage's first boot is on the card. */
  firstBoot: boolean
  /** Of the cluster that the nodes form, where this one is in it. */
  join?: string
}

export interface Subjects {
  list: Subject[]
  close(): Promise<void>
}

/** A node's name has neither. */
export const isPath = (word: string): boolean => /[./\\]/.test(word)

/** @throws {UsageError} nothing is named, or a model that isn't known */
export async function openSubjects(request: BootRequest, caller: Caller): Promise<Subjects> {
  const { all = false, what } = request
  const model = modelNamed(request.as)
  const paths = what.filter(isPath)
  const names = what.filter((word) => !isPath(word))
  if (what.length === 0 && !all)
    throw new UsageError('nothing to start', { hint: 'Name nodes or an image: piimage boot NODE; or --all' })
  if (all && what.length > 0)
    throw new UsageError(`--all is every node, and ${what.join(', ')} is named besides`, {
      hint: 'Leave one of them out.',
    })
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const one of closers) await one()
  }
  try {
    const list: Subject[] = []
    if (all || names.length > 0) {
      const project = await openNodes(request, caller)
      const nodes = all
        ? project.cluster.nodes.filter(({ boot }) => boot === 'card')
        : chooseNodes(project.cluster, names)
      const diskless = nodes.find(({ boot }) => boot === 'net')
      if (diskless !== undefined)
        throw new UsageError(`${diskless.name}: boot: net, so there is no card to start`, {
          hint: 'piimage netroot verify plays its boot against the servers.',
        })
      const bases = await openBases(request, caller)
      closers.push(() => bases.close())
      for (const node of nodes) list.push(await subjectOfNode(node, project, bases, model, caller))
    }
    for (const path of paths) list.push(await subjectAt(path, model, closers, caller))
    return { list, close }
  } catch (error) {
    await close()
    throw error
  }
}

function modelNamed(name: string | undefined): Model | undefined {
  if (name === undefined || name in boards) return name as Model | undefined
  throw new UsageError(`--as ${name} is not a model`, { hint: `Models are: ${modelNames.join(', ')}` })
}

async function subjectOfNode(
  node: Node,
  project: Project,
  bases: BaseImages,
  model: Model | undefined,
  caller: Caller,
): Promise<Subject> {
  const base = await bases.open(project.imageOf(node))
  const { changes, ranges, plan } = await buildNodeImage(project, node, base)
  for (const message of plan.warnings) caller.onEvent({ event: 'warning', node: node.name, message })
  const [first] = node.interfaces
  const keyed = hasDerivedHostKey(node)
  const keys = node.user?.sshKeys.map(withoutComment) ?? []
  const kind = project.cluster.join.kind
  return {
    name: node.name,
    model: model ?? node.model,
    serial: node.serial,
    mac: node.mac,
    image: changes,
    used: ranges,
    expected: {
      hostname: node.name,
      hostKey: keyed ? withoutComment((await project.keys()).hostKey(node.name).publicLine) : undefined,
      // QEMU has no Wi-Fi and no device port: what is set for those says nothing here.
      address: first?.name === 'eth0' ? first.address : undefined,
      login:
        keyed && node.user !== undefined && keys.length > 0
          ? {
              ...{ user: node.user.name, keys },
              identity: findIdentityFiles(caller.env.HOME ?? '/')(node)?.replace(
                /^~/,
                caller.env.HOME ?? '/',
              ),
            }
          : undefined,
      memoryCgroup: node.overlays.some(({ name }) => name === 'cgroups'),
      firstBoot: true,
      join: kind === 'none' ? undefined : kind,
    },
  }
}

async function subjectAt(
  name: string,
  model: Model | undefined,
  closers: (() => Promise<void>)[],
  caller: Caller,
): Promise<Subject> {
  const path = resolve(caller.cwd, name)
  const card = await openCard(path, name)
  closers.push(() => card.close())
  if ((await lookIntoPacked(path, card, caller.signal)) !== undefined)
    throw new UsageError(`${name} is compressed`, {
      hint: 'Unpack it first, or name it in the cluster file or with images lock.',
    })
  const image = new Changes(card)
  const { volume } = await openBootVolume(image)
  const files = bootFilesOfVolume(volume)
  const record = JSON.parse((await readText(files, NODE_RECORD)) ?? '{}') as Record<string, unknown>
  const planned =
    typeof record.model === 'string' && record.model in boards ? (record.model as Model) : undefined
  return {
    name,
    model: model ?? planned ?? DEFAULT_MODEL,
    image,
    used: await new RangeFeed(walkUsedRanges(card)).all(),
    expected: await expectedOf(files, volume, record),
  }
}

/** What a card says of itself. */
async function expectedOf(
  files: BootFiles,
  volume: FatVolume,
  { node, overlays }: Record<string, unknown>,
): Promise<Expected> {
  if (typeof node !== 'string') return { memoryCgroup: false, firstBoot: false }
  const settings = (await readText(files, `${PAYLOAD}/node.env`)) ?? ''
  const setting = (name: string) => new RegExp(`^${name}='([^']*)'$`, 'm').exec(settings)?.[1]
  const hostKey = await readText(files, `${PAYLOAD}/secrets/ssh_host_ed25519_key.pub`)
  const user = setting('PIIMAGE_USER')
  const texts: string[] = []
  let firstBoot = false
  for await (const { path, text } of textsOf(volume)) {
    texts.push(text)
    // Once it is done, nothing starts it any more.
    firstBoot ||= /(^|\/)(user-data|cmdline\.txt)$/.test(path) && /\/piimage\/(install\.sh|init)\b/.test(text)
  }
  const keys = [...new Set(texts.flatMap((text) => text.match(PUBLIC_KEY) ?? []))]
  return {
    hostname: setting('PIIMAGE_HOSTNAME') ?? node,
    hostKey: hostKey === undefined ? undefined : withoutComment(hostKey.trim()),
    address: texts.map(findAddress).find((found) => found !== undefined),
    login: user === undefined || keys.length === 0 || hostKey === undefined ? undefined : { user, keys },
    memoryCgroup: Array.isArray(overlays) && overlays.includes('cgroups'),
    firstBoot,
  }
}

/** No text that a plan writes is as long. */
const LONGEST_TEXT = 256 * 1024
const HOST_KEY = /\/ssh_host_/

/** A public key as authorized_keys has it, without options and comment. */
export const PUBLIC_KEY =
  /\b(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-[a-z0-9-]+@openssh\.com) AAAA[0-9A-Za-z+/]+=*/g

/** Texts of a boot partition that may say who may log in, and how the network is set up. */
export async function* textsOf(volume: FatVolume): AsyncGenerator<{ path: string; text: string }> {
  for await (const { path, size, isDirectory } of volume.walk()) {
    if (isDirectory || size === 0 || size > LONGEST_TEXT || HOST_KEY.test(path)) continue
    const bytes = Buffer.from(await volume.readFile(path))
    if (!bytes.includes(0)) yield { path, text: bytes.toString('latin1') }
  }
}

/** A fixed address, in the words of any of the programs that set up networks. */
function findAddress(text: string): Expected['address'] {
  const found = /\baddress(?:es|1)?["']?\s*[:=\s]\s*\[?\s*(?:- )?\s*["']?(\d+(?:\.\d+){3}\/\d+)/i.exec(
    text,
  )?.[1]
  const parsed = found === undefined ? undefined : parseIpv4WithPrefix(found)
  if (found === undefined || parsed === undefined) return undefined
  return { ip: found.slice(0, found.indexOf('/')), prefix: parsed.prefix }
}
