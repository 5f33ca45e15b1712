/** `netroot`: plan what diskless nodes boot from, tell it, make it, or put one node's into an archive. */
import { existsSync } from 'node:fs'
import type { Writable } from 'node:stream'
import type { LockedImage } from '../../catalog/locked-image.ts'
import { archiveMode, type RootModeWord } from '../../cluster/root-modes.ts'
import { UsageError } from '../../errors.ts'
import { fetchImage } from '../../fetch/fetch-image.ts'
import { openHttp } from '../../fetch/http.ts'
import { describeNetroot } from '../../netroot/describe.ts'
import { listEditions } from '../../netroot/editions.ts'
import { layOut } from '../../netroot/lay-out.ts'
import { type NetrootPlan, planNetroot } from '../../netroot/plan.ts'
import { chooseRootMode, type RootModeChoice } from '../../netroot/root-modes/choose.ts'
import type { ServedCluster, ServedNode } from '../../netroot/served.ts'
import { at } from '../../netroot/server-root.ts'
import { readServed } from '../../netroot/state.ts'
import { withinReach } from '../../servers/exports.ts'
import { openingLines } from '../../servers/firewall.ts'
import { type Caller, taskOf } from '../caller.ts'
import { openBases } from '../image-pipeline.ts'
import { cacheOf, type Project } from '../project.ts'
import { type NetrootImages, netrootImages } from './images.ts'
import { chooseNodes, clusterKey, nodeInput } from './inputs.ts'
import { checkServers, type ServeOptions, serve, tellServerFiles } from './serve.ts'
import { findServer } from './server.ts'
import { atSite, type NetrootRequest, type Site, whileStateLocked } from './site.ts'
import { type NodeArchive, writeTarFile } from './tar.ts'
import { verifyServed } from './verify.ts'

export interface LayOutRequest extends NetrootRequest, ServeOptions {
  /** Default: all that boot from the network. */
  nodes?: readonly string[]
  /** How roots are made. Default: what the cluster file says, else the best that the file system can. */
  rootMode?: RootModeWord
}

/** Tells what would be made, and changes nothing. */
export const planLayOut = (
  request: LayOutRequest,
  caller: Caller,
): Promise<{ served: ServedCluster; firewall?: { manager: string; lines: string[] } }> =>
  withPlanner(request, caller, async ({ make, choice, site }) => {
    const plan = await make()
    tellWarnings(plan, caller)
    const { served } = plan
    const description = describeNetroot(plan, choice, (path) => existsSync(at(site.place, path)))
    caller.onEvent({ event: 'plan', rootMode: choice.mode, why: choice.why, served, description })
    const firewall = await tellServerFiles(served, request, site, caller)
    if (firewall === undefined) return { served }
    return { served, firewall: { manager: firewall.manager, lines: openingLines(served, firewall) } }
  })

/** Lay out what is new, then write the servers' files. What is being served meanwhile stays as it is. */
export const layOutNetroot = (request: LayOutRequest, caller: Caller): Promise<{ served: ServedCluster }> => {
  if (request.install && !request.apply)
    throw new UsageError('--install is for --apply', { hint: 'sudo piimage netroot --apply --install' })
  if (request.openFirewall && !request.apply)
    throw new UsageError('--open-firewall is for --apply', {
      hint: 'sudo piimage netroot --apply --open-firewall',
    })
  return withPlanner(request, caller, async ({ make, choice, images, site }) => {
    const laid = await whileStateLocked(site, caller, async () => {
      const plan = await make()
      tellWarnings(plan, caller)
      await checkServers(plan.served, request, site)
      const warn = (message: string) => caller.onEvent({ event: 'warning', message })
      const open = (key: string) => images.verified(key)
      const { generations, nodes, served } = await layOut(
        plan,
        { place: site.place, open, warn },
        taskOf(caller),
      )
      const { state } = site
      caller.onEvent({ event: 'laid-out', state, generations, nodes, rootMode: choice.mode })
      return { served, ...(await serve(served, request, site, caller)) }
    })
    const { served, started } = laid
    if (started) await verifyServed(served, site, { nodes: request.nodes }, caller)
    return { served }
  })
}

/** One node's trees as an archive, for a server that piimage does not run on. */
export const archiveNode = (
  request: LayOutRequest & { to: string | Writable },
  caller: Caller,
): Promise<NodeArchive> =>
  withPlanner({ ...request, rootMode: archiveMode }, caller, async ({ make, images }) =>
    writeTarFile(request.to, await make(), images, caller),
  )

interface Planner {
  make: () => Promise<NetrootPlan>
  choice: RootModeChoice
  images: NetrootImages
  site: Site
}

/** @param work given what plans, as often as needed: under a lock, what is there may have changed */
const withPlanner = <T>(
  request: LayOutRequest,
  caller: Caller,
  work: (planner: Planner) => Promise<T>,
): Promise<T> =>
  atSite(request, caller, async (site, project) => {
    const task = taskOf(caller)
    const bases = await openBases(request, caller)
    try {
      const cache = await cacheOf(request, caller)
      const options = { http: openHttp({ env: caller.env }), offline: request.offline ?? false }
      const fetch = (image: LockedImage) => fetchImage(image, cache, options, task)
      const images = netrootImages(bases, fetch, task)
      const choice = await chooseRootMode(
        at(site.place, site.state),
        request.rootMode ?? project.cluster.netroot.root,
      )
      const make = () => planNodes(project, request, site, choice, images)
      return await work({ make, choice, images, site })
    } finally {
      await bases.close()
    }
  })

async function planNodes(
  project: Project,
  { nodes: names }: LayOutRequest,
  { state, place }: Site,
  choice: RootModeChoice,
  images: NetrootImages,
): Promise<NetrootPlan> {
  const key = await clusterKey(project)
  const nodes = []
  for (const node of chooseNodes(project, names)) nodes.push(await nodeInput(project, node, images, key))
  return planNetroot({
    cluster: project.cluster,
    stateFolder: state,
    server: findServer(project.cluster),
    rootMode: choice.mode,
    nodes,
    earlier: new Map(nodes.map(({ node }) => [node.name, listEditions(state, node.name, place)])),
    others: othersOf(project, names, { state, place }),
  })
}

function tellWarnings({ nodes, served }: NetrootPlan, { onEvent }: Caller): void {
  for (const { warnings } of nodes) for (const message of warnings) onEvent({ event: 'warning', message })
  const within = withinReach(served).nodes
  for (const [index, { name, exports }] of served.nodes.entries()) {
    const kept = within[index]?.exports ?? []
    const lost = exports.find((one) => !kept.includes(one))
    if (lost !== undefined)
      onEvent({
        event: 'warning',
        node: name,
        message: `as it was started last it has ${lost.client}, on a network that the server has left: it loses its root until it is started again`,
      })
  }
}

/** Where nodes are named, the others stay as they were laid out, as long as they boot from the network. */
function othersOf(
  { cluster }: Project,
  asked: readonly string[] | undefined,
  { state, place }: Site,
): ServedNode[] {
  if (asked === undefined || !existsSync(at(place, `${state}/served.json`))) return []
  const wanted = new Set(
    cluster.nodes.filter(({ name, boot }) => boot === 'net' && !asked.includes(name)).map(({ name }) => name),
  )
  return readServed(state, place).nodes.filter(({ name }) => wanted.has(name))
}
