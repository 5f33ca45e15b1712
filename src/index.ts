/**
 * piimage as a library: `import { flash, plan } from 'piimage'` (docs/api.md).
 * Each function takes a plain request, and tells what happens as events; its
 * code is loaded when it is called.
 */
import type { Caller } from './work/caller.ts'

/** What a program may give besides the request. */
export interface Options {
  /** Told of everything that happens: the objects that `--json` prints. */
  onEvent?: Caller['onEvent']
  /** Aborted to stop: what is under way is left safe, and the signal's reason is thrown. */
  signal?: AbortSignal
  /** Whether to go on, before anything is erased or replaced. Without it nothing ever is. */
  confirm?: Caller['confirm']
  /** What relative paths start from. Default: the process' own folder. */
  cwd?: string
  /** Where HOME, PIIMAGE_CACHE and proxies are looked up. Default: the process' own environment. */
  env?: Caller['env']
}

const callerOf = ({ onEvent, signal, confirm, cwd, env }: Options): Caller => ({
  onEvent: onEvent ?? (() => {}),
  signal: signal ?? new AbortController().signal,
  confirm: confirm ?? (async () => false),
  cwd: cwd ?? process.cwd(),
  env: env ?? process.env,
  platform: process.platform,
  now: () => new Date(),
})

/** A use case for programs: loaded when it is called, with defaults for what is left out. */
const offer =
  <Request, Result>(load: () => Promise<(request: Request, caller: Caller) => Promise<Result>>) =>
  async (request: Request, options: Options = {}): Promise<Result> =>
    (await load())(request, callerOf(options))

/** What `flash` and `bake` would change, node by node, each told as a `plan` event. */
export const plan = offer(async () => (await import('./work/plan.ts')).plan)
/** Nodes or images started in QEMU, and asked who they are. */
export const boot = offer(async () => (await import('./work/boot/boot.ts')).boot)
/** Nodes to cards or image files, all at once, each read back. */
export const flash = offer(async () => (await import('./work/flash.ts')).flash)
/** Card after card, until every node of a cluster has one. */
export const flashBatch = offer(async () => (await import('./work/batch.ts')).flashBatch)
/** Nodes to image files for releases or other tools. */
export const bake = offer(async () => (await import('./work/bake.ts')).bake)
/** The card that helps a Pi 1, 2 or 3B boot from the network. */
export const bakeBootCards = offer(async () => (await import('./work/bake.ts')).bakeBootCards)
/** Another identity for a card or an image that is there already. */
export const customise = offer(async () => (await import('./work/customise.ts')).customise)
/** What is on a card or in an image, and whether it is as `flash` left it. */
export const inspect = offer(async () => (await import('./work/inspect.ts')).inspect)
/** What is plugged in, and whether it may be written. */
export const drives = offer(async () => (await import('./work/drives.ts')).drives)
/** How far every node is, asked over ssh. */
export const status = offer(async () => (await import('./work/status.ts')).status)
/** Nodes into their cluster, over ssh. */
export const joinNodes = offer(async () => (await import('./work/join.ts')).joinNodes)
/** The cluster as ssh, Ansible, kubectl and others want it. */
export const exportCluster = offer(async () => (await import('./work/export.ts')).exportCluster)

/** The lock and the cache. */
export const images = {
  list: offer(async () => (await import('./work/images.ts')).listImages),
  lock: offer(async () => (await import('./work/images.ts')).lockImage),
  fetch: offer(async () => (await import('./work/images.ts')).fetchImages),
  verify: offer(async () => (await import('./work/images.ts')).verifyImages),
  prune: offer(async () => (await import('./work/images.ts')).pruneImages),
}

/** Nodes without cards: what they boot from, and who serves it. */
export const netroot = {
  plan: offer(async () => (await import('./work/netroot/lay-out.ts')).planLayOut),
  layOut: offer(async () => (await import('./work/netroot/lay-out.ts')).layOutNetroot),
  archive: offer(async () => (await import('./work/netroot/lay-out.ts')).archiveNode),
  verify: offer(async () => (await import('./work/netroot/verify.ts')).verifyNetroot),
  status: offer(async () => (await import('./work/netroot/status.ts')).netrootStatus),
  adopt: offer(async () => (await import('./work/netroot/adopt.ts')).adopt),
  rollBack: offer(async () => (await import('./work/netroot/editions.ts')).rollBackNetroot),
  prune: offer(async () => (await import('./work/netroot/editions.ts')).pruneNetroot),
  remove: offer(async () => (await import('./work/netroot/editions.ts')).removeNetroot),
  diff: offer(async () => (await import('./work/netroot/editions.ts')).diffNetroot),
}

export * from './errors.ts'
export type { Question } from './work/caller.ts'
export type { NodePlan, NodeStatus, WorkEvent } from './work/events.ts'
