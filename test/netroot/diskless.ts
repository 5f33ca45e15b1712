/** The demo cluster with two diskless nodes, laid out under a prefix of its own. */
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { imageOptions } from '../../src/netroot/fs-image.ts'
import { overlayOptions } from '../../src/netroot/root-modes/overlay.ts'
import type { ServedCluster } from '../../src/netroot/served.ts'
import { imagesOf, overlaysOf } from '../../src/servers/mounts.ts'
import { demoProject, type Project, type ProjectOptions } from '../support/project.ts'
import { run } from '../support/tools.ts'

export const STATE = '/srv/piimage/demo'

export interface Diskless extends Project {
  /** What is laid out. */
  served(): ServedCluster
  /** Mount what the server would, in its order. @returns what takes it all away again */
  mount(): () => void
  /** A path of the server, as it lies here. */
  server(path: string): string
  netroot(...args: string[]): ReturnType<Project['piimage']>
  /** Change the cluster file. */
  edit(change: (text: string) => string): void
}

export function disklessProject(t: TestContext, options: ProjectOptions = {}): Diskless {
  const project = demoProject(t, options)
  const prefix = project.file('server')
  const edit = (change: (text: string) => string) => {
    const file = project.file('cluster.yaml')
    writeFileSync(file, change(readFileSync(file, 'utf8')))
  }
  edit((text) =>
    text
      .replace('oneil: {', "oneil: { boot: net, serial: '10000000a1b2c3d4', storage: 64M,")
      .replace('carter: {', "carter: { boot: net, mac: 'b8:27:eb:00:00:01',")
      .replace('\noverlays:\n', '\nnetroot: { server: hammond }\n\noverlays:\n'),
  )
  project.beforeRemoval(() => {
    for (const point of mountsBelow(prefix).reverse()) run('umount', [point])
  })
  const server = (path: string) => join(prefix, path)
  const served = (): ServedCluster => {
    const [cluster = ''] = readdirSync(server('/srv/piimage'))
    const { version: _, ...record } = JSON.parse(
      readFileSync(server(`/srv/piimage/${cluster}/served.json`), 'utf8'),
    )
    return record
  }
  const unmount = () => {
    for (const point of mountsBelow(prefix).reverse()) mustRun('umount', [point])
  }
  return {
    ...project,
    served,
    mount() {
      for (const { image, folder, writable } of imagesOf(served()))
        mustRun('mount', ['-t', 'ext4', '-o', imageOptions(writable), server(image), server(folder)])
      for (const overlay of overlaysOf(served())) {
        const { lower, upper, work, merged } = overlay
        const options = overlayOptions({ lower: server(lower), upper: server(upper), work: server(work) })
        mustRun('mount', ['-t', 'overlay', 'overlay', '-o', options, server(merged)])
      }
      return unmount
    },
    server,
    netroot: (...args) => project.piimage('netroot', ...args, '--prefix', prefix),
    edit,
  }
}

/** Its bytes are never the same twice; what is in it may be. */
export const isImage = (path: string): boolean => /\.(ext4|img)$/.test(path)

/** Whoever copies the table of mounts at the wrong moment keeps a file system in use for a while. */
function mustRun(command: string, words: string[]): void {
  for (let tries = 1; ; tries += 1) {
    const { status, stderr } = run(command, words)
    if (status === 0) return
    if (tries === 50) throw new Error(`${command} ${words.join(' ')}: ${stderr}`)
    run('sleep', ['0.1'])
  }
}

export const mountsBelow = (folder: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${folder}/`))

/** Mode, owner, time and content of everything below a folder, a line each; `skip` leaves out what is random. */
export function listing(folder: string, skip: (path: string) => boolean = () => false): string[] {
  const lines: string[] = []
  const walk = (path: string) => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const below = join(path, name)
      if (skip(below)) continue
      const entry = lstatSync(join(folder, below))
      const what = entry.isSymbolicLink()
        ? readlinkSync(join(folder, below))
        : entry.isFile()
          ? createHash('sha256')
              .update(readFileSync(join(folder, below)))
              .digest('hex')
          : ''
      lines.push(`${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${below} ${what}`)
      if (entry.isDirectory()) walk(below)
    }
  }
  walk('')
  return lines
}
