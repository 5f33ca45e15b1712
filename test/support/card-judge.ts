/** What a card is, judged by mtools and cmp, which know nothing of piimage. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './tools.ts'

export interface ExpectedCard {
  cluster: string
  node: string
  /** Without its prefix length. */
  address: string
  /** The unpacked image. */
  stock: string
  /** In the image and on the card, bytes. */
  boot: { offset: number }
  root: { offset: number; length: number }
}

/** @returns what is wrong with the card of a node whose network is cloud-init's; a line each */
export function judgeCard(
  card: string,
  { cluster, node, address, stock, boot, root }: ExpectedCard,
): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'piimage-judge-'))
  try {
    const copied = run('mcopy', ['-s', '-n', '-Q', '-i', `${card}@@${boot.offset}`, '::', folder])
    if (copied.status !== 0) return [`the boot partition can't be read: ${copied.stderr}`]
    const file = (name: string) => readFileSync(join(folder, name))
    const problems: string[] = []
    const receipt = JSON.parse(file('piimage-receipt.json').toString())
    if (receipt.cluster !== cluster || receipt.node !== node)
      problems.push(`the receipt says ${receipt.node} of ${receipt.cluster}`)
    for (const [name, digest] of Object.entries(receipt.files))
      if (createHash('sha256').update(file(name)).digest('hex') !== digest)
        problems.push(`${name} is not what the receipt says`)
    if (!file('network-config').includes(`"${address}/`)) problems.push(`its address is not ${address}`)
    if (JSON.parse(file('piimage/node.json').toString()).node !== node)
      problems.push(`its files are another node's`)
    const [skip, bytes] = [`${root.offset}`, `${root.length}`]
    const compared = run('cmp', ['--ignore-initial', skip, '--bytes', bytes, card, stock])
    if (compared.status !== 0)
      problems.push(`its root is not the image's: ${compared.stdout}${compared.stderr}`)
    return problems
  } finally {
    rmSync(folder, { recursive: true })
  }
}
