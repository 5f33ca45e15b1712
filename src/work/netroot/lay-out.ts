/** `piimage netroot`: plan, show, make. */
import { existsSync } from 'node:fs'
import type { LockedImage } from '../../catalog/locked-image.ts'
import { UsageError } from '../../errors.ts'
import { fetchImage } from '../../fetch/fetch-image.ts'
import { openHttp } from '../../fetch/http.ts'
import { describeNetroot } from '../../netroot/describe.ts'
import { listEditions } from '../../netroot/editions.ts'
import { layOut } from '../../netroot/lay-out.ts'
import { at } from '../../netroot/place.ts'
import { type NetrootPlan, planNetroot } from '../../netroot/plan.ts'
import { chooseRootMode, type RootModeChoice } from '../../netroot/root-mode.ts'
import type { ServedNode } from '../../netroot/served.ts'
import { lockState, readServed } from '../../netroot/state.ts'
import type { Task } from '../../progress.ts'
import { openBases } from '../base-image.ts'
import { cacheOf, openProject, type Project } from '../project.ts'
import { type NetrootAction, placeOf, type Stage, stateFolderOf } from './args.ts'
import { netrootImages } from './images.ts'
import { chooseNodes, clusterKey, nodeInput } from './inputs.ts'
import { checkServers, serve, showServers } from './serve.ts'
import { findServer } from './server.ts'
import { writeTarFile } from './tar.ts'

export const layOutAction: NetrootAction = async (args, context) => {
  const { output, world } = context
  if (args.install && !args.apply)
    throw new UsageError('--install is for --apply', { hint: 'sudo piimage netroot --apply --install' })
  const project = await openProject(args, context)
  const stage: Stage = { place: placeOf(args, world), state: stateFolderOf(args, project.cluster) }
  const task: Task = { report: output.progress, signal: world.signal }
  const bases = await openBases(args, context)
  try {
    const cache = await cacheOf(args, context)
    const http = openHttp({ env: world.env })
    const fetch = (image: LockedImage) => fetchImage(image, cache, { http, offline: args.offline }, task)
    const images = netrootImages(bases, fetch, task)
    const choice = await chooseRootMode(
      at(stage.place, stage.state),
      args.tar === undefined ? (args['root-mode'] ?? project.cluster.netroot.root) : 'copy',
    )
    const make = async (): Promise<NetrootPlan> => {
      const key = await clusterKey(project)
      const nodes = []
      for (const node of chooseNodes(project, args.node))
        nodes.push(await nodeInput(project, node, images, key))
      return planNetroot({
        cluster: project.cluster,
        stateFolder: stage.state,
        server: findServer(project.cluster),
        rootMode: choice.mode,
        nodes,
        earlier: new Map(
          nodes.map(({ node }) => [node.name, listEditions(stage.state, node.name, stage.place)]),
        ),
        others: othersOf(project, args.node, stage),
      })
    }
    if (args.tar !== undefined && !args['dry-run'])
      return await writeTarFile(args.tar, await make(), images, context, task)
    if (args['dry-run']) {
      const plan = await make()
      show(plan, choice)
      await showServers(plan.served, stage, context)
      return { served: plan.served }
    }
    const lock = await lockState(stage.state, stage.place, world.signal, (pid) =>
      output.note(`waiting for process ${pid}, which changes ${stage.state}`),
    )
    try {
      const plan = await make()
      for (const { warnings } of plan.nodes) for (const warning of warnings) output.warn(warning)
      await checkServers(plan.served, args, stage)
      const open = (key: string) => images.verified(key)
      const laid = await layOut(plan, { place: stage.place, open, warn: output.warn }, task)
      output.event('laid-out', { generations: laid.generations, nodes: laid.nodes, rootMode: choice.mode })
      output.print(
        laid.nodes.length === 0
          ? `${stage.state}: everything is laid out already`
          : `${stage.state}: laid out ${laid.nodes.join(', ')} (roots by ${choice.mode})`,
      )
      await serve(laid.served, args, stage, context)
      if (laid.served.nodes.some(({ usbSlot }) => usbSlot !== undefined))
        output.note('Zeros boot after: sudo clusterctrl init, then clusterctrl on')
      return { served: laid.served }
    } finally {
      lock.release()
    }
  } finally {
    await bases.close()
  }

  function show(plan: NetrootPlan, choice: RootModeChoice): void {
    for (const { warnings } of plan.nodes) for (const warning of warnings) output.warn(warning)
    output.printText(describeNetroot(plan, choice, (path) => existsSync(at(stage.place, path))))
    output.event('plan', { rootMode: choice.mode, why: choice.why, served: plan.served })
  }
}

/** With `--node`, the others stay as they were laid out, as long as they boot from the network. */
function othersOf(
  { cluster }: Project,
  asked: readonly string[] | undefined,
  { state, place }: Stage,
): ServedNode[] {
  if (asked === undefined || !existsSync(at(place, `${state}/served.json`))) return []
  const wanted = new Set(
    cluster.nodes.filter(({ name, boot }) => boot === 'net' && !asked.includes(name)).map(({ name }) => name),
  )
  return readServed(state, place).nodes.filter(({ name }) => wanted.has(name))
}
