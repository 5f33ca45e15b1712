/** Images by less than their key, and the one that a node gets which names none. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'

const file = (image: string, nodes: string): string =>
  `cluster: home\n${image}user: { name: ops, sshKeys: [key.pub] }\nnodes:\n${nodes}`

/** Every node's image as `plan --json` would take it, or what is wrong with the file. */
async function imagesOf(folder: string, text: string): Promise<string> {
  writeFileSync(join(folder, 'cluster.yaml'), text)
  writeFileSync(join(folder, 'key.pub'), `${makeEd25519Key(Buffer.alloc(32, 1), 'me').publicLine}\n`)
  const planned = await runPiimage(folder, ['plan', '--all', '--offline', '--cache', join(folder, 'cache')])
  return planned.stderr
}

test('a name without a version, and no name at all, are the newest of the lock', async (t) => {
  const folder = tempFolder(t)
  const cases: [image: string, node: string, says: RegExp][] = [
    ['image: raspios-trixie-arm64-lite\n', '  a: { model: pi4 }\n', /raspios-trixie-arm64-lite@2026-09-15/],
    ['image: raspios-bookworm-arm64\n', '  a: { model: pi4 }\n', /raspios-bookworm-arm64-lite@2026-09-15/],
    ['', '  a: { model: pi5 }\n', /raspios-trixie-arm64-lite@2026-09-15/],
    ['', '  a: { model: pi1 }\n', /raspios-trixie-armhf-lite@2026-09-15/],
    [
      'image: raspios-trixie\n',
      '  a: { model: pi4 }\n',
      /2 kinds of image .*arm64-lite, raspios-trixie-armhf-lite/,
    ],
    ['image: raspios-trixxie\n', '  a: { model: pi4 }\n', /raspios-trixxie is not in the lock/],
    [
      'image: ./my-pi.img.xz\n',
      '  a: { model: pi4 }\n',
      /is a file or an address, .*\(piimage images lock \.\/my-pi\.img\.xz pins it, /,
    ],
    ['image: ~/mine.img\n', '  a: { model: pi4 }\n', /is a file or an address/],
    ['image: mine.img.gz\n', '  a: { model: pi4 }\n', /is a file or an address/],
    ['image: "/tmp/$(id).img"\n', '  a: { model: pi4 }\n', /\(piimage images lock FILE pins it/],
    ['image: Raspios Trixie\n', '  a: { model: pi4 }\n', /is not a valid image name/],
  ]
  for (const [image, node, says] of cases)
    assert.match(await imagesOf(folder, file(image, node)), says, image)
})
