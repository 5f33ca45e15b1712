/**
 * Laying out diskless nodes, beside copying the same tree with rsync and cp.
 *
 *     npm run build && npm run build:test
 *     sudo PIIMAGE_FIXTURE_IMAGE=pi-trixie-arm64.img.xz node build/bench/netroot.js [--runs 3] [--nodes 100] [--work DIR]
 *
 * The image is the one that test/fixtures/pi-like.gen.sh makes. Its cache is warm: unpacking is another bench's.
 * Every row starts from an empty folder on the file system of --work, ends with a sync, and is the median of its runs.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../src/package-root.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    nodes: { type: 'string', default: '100' },
    work: { type: 'string', default: '/var/tmp/piimage-bench/netroot' },
  },
})
const many = Number(values.nodes)
const packed = process.env.PIIMAGE_FIXTURE_IMAGE
if (packed === undefined) throw new Error('PIIMAGE_FIXTURE_IMAGE is not set: test/fixtures/ has its recipe')

const project = join(values.work, 'project')
const target = join(values.work, 'target')
const KEY = 'bench-trixie-arm64-lite@2026-01-01'
const cli = `${process.execPath} ${join(packageRoot(), 'dist/cli.js')}`
const flags = `--quiet --cluster ${project}/cluster.yaml --lock ${project}/images.lock.json --cache ${project}/cache`
const netroot = (mode: string, nodes: number) =>
  `${cli} netroot ${flags} --prefix ${target} --root-mode ${mode} ${nodes === many ? '' : list(nodes)}`
const list = (nodes: number) => Array.from({ length: nodes }, (_, i) => `--node n${i + 1}`).join(' ')

function sh(script: string): void {
  const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`status ${status}: ${script}\n${stderr}`)
}

function makeProject(image: string): void {
  mkdirSync(project, { recursive: true })
  writeFileSync(join(project, 'cluster.key'), `${createHash('sha256').update('bench').digest('hex')}\n`, {
    mode: 0o600,
  })
  const nodes = Array.from(
    { length: many },
    (_, i) =>
      `  n${i + 1}: { model: pi4, boot: net, serial: "${(i + 1).toString(16).padStart(8, '0')}", address: 10.9.0.${i + 2}/24 }\n`,
  )
  writeFileSync(
    join(project, 'cluster.yaml'),
    `cluster: bench\nimage: ${KEY}\nuser: { name: ops, sshKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe demo@piimage] }\nnetwork: { cidr: 10.9.0.0/24, gateway: 10.9.0.1 }\noverlays: [ssh]\nnetroot: { server: head }\nnodes:\n  head: { model: pi4, address: 10.9.0.1/24 }\n${nodes.join('')}`,
  )
  const locked = `${cli} images lock --key ${KEY} --trust-first-use file://${image} ${flags}`
  writeFileSync(join(project, 'images.lock.json'), JSON.stringify({ lockfileVersion: 1, images: {} }))
  sh(locked)
}

interface Row {
  name: string
  script: string
  /** Made before, unmeasured; what it takes on the disk is not counted. */
  prepare?: string
}

const state = `${target}/srv/piimage/bench`
const tree = `${values.work}/tree`
const rows: Row[] = [
  { name: 'piimage netroot, 1 node, overlay', script: netroot('overlay', 1) },
  { name: `piimage netroot, ${many} nodes, overlay`, script: netroot('overlay', many) },
  {
    name: `piimage netroot, ${many - 1} more nodes, overlay`,
    prepare: netroot('overlay', 1),
    script: netroot('overlay', many),
  },
  { name: 'piimage netroot, 1 more node, copy', prepare: netroot('copy', 1), script: netroot('copy', 2) },
  { name: '1 more node, `cp -a`', prepare: `mkdir ${target}`, script: `cp -a ${tree} ${target}/n1` },
  {
    name: '1 more node, `rsync -xa`',
    prepare: `mkdir ${target}`,
    script: `rsync -xa ${tree}/ ${target}/n1/`,
  },
]

const diskBytes = (): number =>
  Number(spawnSync('du', ['-s', '-B1', target], { encoding: 'utf8' }).stdout.split('\t')[0] ?? 0)

function measure({ script, prepare }: Row): { seconds: number; bytes: number } {
  rmSync(target, { recursive: true, force: true })
  if (prepare !== undefined) sh(prepare)
  const before = diskBytes()
  sh('sync')
  const started = performance.now()
  sh(`${script} && sync -f ${values.work}`)
  return { seconds: (performance.now() - started) / 1000, bytes: diskBytes() - before }
}

const median = (numbers: number[]): number =>
  numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

mkdirSync(values.work, { recursive: true })
makeProject(packed)
// The tree that the others copy is the one that piimage extracted.
rmSync(target, { recursive: true, force: true })
sh(netroot('copy', 1))
const generation = readFileSync(`${state}/served.json`, 'utf8').match(/"generation": "([^"]+)"/)?.[1]
const base = `${state}/generations/${generation}`
sh(
  `rm -rf ${tree} && mount -o loop,ro ${base}/root.ext4 ${base}/root && cp -a ${base}/root ${tree}; umount ${base}/root`,
)
const files = spawnSync('sh', ['-c', `find ${tree} | wc -l; du -sm ${tree} | cut -f1`], { encoding: 'utf8' })
const [count, megabytes] = files.stdout.trim().split('\n')
const say = (line: string) => process.stdout.write(`${line}\n`)
say(`tree: ${count} files, ${megabytes} MB; ${cpus().length} CPUs, load ${loadavg()[0]}\n`)
say('| what | wall s | MB on the disk |\n|---|---|---|')
for (const row of rows) {
  const runs = Array.from({ length: Number(values.runs) }, () => measure(row))
  const seconds = median(runs.map((run) => run.seconds))
  const bytes = median(runs.map((run) => run.bytes))
  say(`| ${row.name} | ${seconds.toFixed(1)} | ${(bytes / 1e6).toFixed(1)} |`)
}
rmSync(target, { recursive: true, force: true })
