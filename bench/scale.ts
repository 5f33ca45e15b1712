/**
 * How CPU time and memory grow with the number of nodes.
 *
 *     npm run build && npm run build:test
 *     node build/bench/scale.js [--nodes 10,100,1000,5000] [--only TEXT] [--work DIR]
 *
 * CPU time of piimage's own process and the most memory that it had, not wall time: other load on the machine changes
 * neither by much. The image is the demo's. `status` asks by a stand-in for ssh that answers at once.
 * The exponents are those of what comes on top of a cluster of one node.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../src/package-root.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '10,100,1000,5000' },
    only: { type: 'string', default: '' },
    work: { type: 'string', default: '/var/tmp/piimage-bench/scale' },
  },
})
const counts = values.nodes.split(',').map(Number)
const KEY = 'demo-trixie-arm64-lite@2025-12-05'

const rows: Record<string, string[]> = {
  'netroot --dry-run': ['netroot', '--dry-run', '--prefix', 'server'],
  'netroot --dry-run, every line another': ['netroot', '--dry-run', '--prefix', 'other'],
  'plan --all': ['plan', '--all'],
  'export ansible': ['export', 'ansible'],
  'export hosts': ['export', 'hosts'],
  'export known-hosts': ['export', 'known-hosts'],
  'export ssh-config': ['export', 'ssh-config'],
  'export eeprom': ['export', 'eeprom'],
  status: ['status'],
}

/** Files of a server that are there already: lines for each node, and none of them as it is to be. */
const OTHER = {
  '/etc/exports.d/piimage.exports': 4,
  '/etc/piimage/netroot/dhcp-hosts': 1,
  '/etc/systemd/system/nfs-server.service.d/piimage.conf': 2,
}

interface Figures {
  cpuSeconds: number
  megabytes: number
}

/** @returns the folder: cluster.yaml, images.lock.json, cluster.key, a stand-in for ssh in `bin` */
function makeProject(count: number): string {
  const folder = join(values.work, String(count))
  mkdirSync(join(folder, 'bin'), { recursive: true })
  const examples = join(packageRoot(), 'examples/demo')
  copyFileSync(join(examples, 'demo.img.xz'), join(folder, 'demo.img.xz'))
  const { images } = JSON.parse(readFileSync(join(packageRoot(), 'images.lock.json'), 'utf8'))
  const image = { ...images[KEY], url: 'file:demo.img.xz' }
  writeFileSync(
    join(folder, 'images.lock.json'),
    JSON.stringify({ lockfileVersion: 1, images: { [KEY]: image } }),
  )
  writeFileSync(join(folder, 'cluster.key'), `${'5a'.repeat(32)}\n`, { mode: 0o600 })
  writeFileSync(join(folder, 'bin/ssh'), '#!/bin/sh\necho firstboot\n', { mode: 0o755 })
  for (const [path, lines] of Object.entries(OTHER)) {
    mkdirSync(join(folder, 'other', path, '..'), { recursive: true })
    const text = Array.from({ length: lines * count }, (_, index) => `other line ${index}\n`)
    writeFileSync(join(folder, 'other', path), text.join(''))
  }
  const nodes = Array.from({ length: count }, (_, index) => {
    const at = index + 2
    const serial = (0x10000000 + at).toString(16)
    return `  n${at}: { boot: net, storage: 1G, address: 10.0.${at >> 8}.${at & 255}/16, serial: "${serial}" }\n`
  })
  writeFileSync(
    join(folder, 'cluster.yaml'),
    `cluster: scale\nimage: ${KEY}\nmodel: pi4\nuser: { name: ops, sshKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe demo@piimage] }\nnetwork: { cidr: 10.0.0.0/16, gateway: 10.0.0.1, dns: [10.0.0.1], domain: scale.lan }\noverlays: [ssh, cgroups, docker]\njoin: { kind: swarm, head: head }\nnetroot: { server: head }\nnodes:\n  head: { address: 10.0.0.1/16 }\n${nodes.join('')}`,
  )
  return folder
}

function measure(words: readonly string[], folder: string): Figures {
  const figures = join(folder, 'figures.json')
  const hook = `import { writeFileSync } from 'node:fs'; process.on('exit', () => writeFileSync(${JSON.stringify(figures)}, JSON.stringify(process.resourceUsage())))`
  const ran = spawnSync(
    process.execPath,
    [
      '--import',
      `data:text/javascript,${encodeURIComponent(hook)}`,
      join(packageRoot(), 'dist/cli.js'),
      ...words,
      '--cluster',
      join(folder, 'cluster.yaml'),
      '--cache',
      join(values.work, 'cache'),
    ],
    {
      cwd: folder,
      env: { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`, HOME: folder },
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    },
  )
  if (ran.status !== 0) throw new Error(`${words.join(' ')}: status ${ran.status}: ${ran.stderr}`)
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(readFileSync(figures, 'utf8'))
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, megabytes: maxRSS / 1024 }
}

/**
 * How a figure grows: 1 is linear. From the smallest count whose figure stands out of what one node takes, by a
 * tenth, to the largest.
 */
function exponent(base: number, found: readonly number[]): string {
  const first = found.findIndex((figure) => figure > base * 1.1)
  const [least = 0, most = 0] = [found[first], found.at(-1)].map((figure = 0) => figure - base)
  const growth = Math.log((counts.at(-1) ?? 1) / (counts[first] ?? 1))
  return first < 0 || growth === 0 ? '-' : (Math.log(most / least) / growth).toFixed(2)
}

const print = (line: string) => process.stdout.write(`${line}\n`)
process.stderr.write(`load ${loadavg().map((load) => load.toFixed(1))}\n`)
const folders = [1, ...counts].map(makeProject)
measure(['plan'], folders[0] ?? '')
print(`| what | ${counts.map((count) => `${count} nodes: CPU s / MB`).join(' | ')} | exponents: CPU / MB |`)
print(`|---|${'---|'.repeat(counts.length + 1)}`)
for (const [name, words] of Object.entries(rows)) {
  if (!name.includes(values.only)) continue
  const [one, ...all] = folders.map((folder) => measure(words, folder))
  if (one === undefined) continue
  const cells = all.map(({ cpuSeconds, megabytes }) => `${cpuSeconds.toFixed(1)} / ${megabytes.toFixed(0)}`)
  const growth = [
    exponent(
      one.cpuSeconds,
      all.map(({ cpuSeconds }) => cpuSeconds),
    ),
    exponent(
      one.megabytes,
      all.map(({ megabytes }) => megabytes),
    ),
  ]
  print(`| \`piimage ${name}\` | ${cells.join(' | ')} | ${growth.join(' / ')} |`)
}
for (const folder of folders) rmSync(folder, { recursive: true, force: true })
