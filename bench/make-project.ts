/** A cluster on a bench image, for piimage's own rows. */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchImage } from './make-image.ts'

export const NODE_COUNT = 16
export const nodeName = (index: number): string => `node${String(index + 1).padStart(2, '0')}`

export const nodeAddress = (index: number): string => `10.9.0.${index + 10}`

const KEY = 'bench-trixie-arm64-lite@2026-01-01'

/** @returns the folder: cluster.yaml, images.lock.json, cluster.key; piimage's cache goes into `cache` */
export async function makeBenchProject(work: string, image: BenchImage, count = NODE_COUNT): Promise<string> {
  const folder = join(work, 'project')
  if (existsSync(join(folder, 'images.lock.json'))) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'cluster.key'), `${'5a'.repeat(32)}\n`, { mode: 0o600 })
  const nodes = Array.from(
    { length: count },
    (_, index) => `  ${nodeName(index)}: { model: pi4, address: ${nodeAddress(index)}/24 }\n`,
  )
  writeFileSync(
    join(folder, 'cluster.yaml'),
    `cluster: bench\nimage: ${KEY}\nuser: { name: ops, sshKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe demo@piimage] }\nnetwork: { cidr: 10.9.0.0/24, gateway: 10.9.0.1 }\noverlays: [ssh]\nnodes:\n${nodes.join('')}`,
  )
  const source = { kind: 'computed', checked: '2026-01-01' }
  const part = async (path: string) => ({
    size: statSync(path).size,
    sha256: await digest(path),
    source,
  })
  const locked = {
    os: 'other',
    release: 'trixie',
    version: '2026-01-01',
    arch: 'arm64',
    variant: 'lite',
    url: `file://${image.packed}`,
    format: 'xz',
    download: await part(image.packed),
    extracted: await part(image.raw),
  }
  writeFileSync(
    join(folder, 'images.lock.json'),
    JSON.stringify({ lockfileVersion: 1, images: { [KEY]: locked } }, null, 2),
  )
  return folder
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk)
  return hash.digest('hex')
}
