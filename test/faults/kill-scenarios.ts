/** Commands to be killed, from which state each starts, and what it may leave: the rows of kills.test.ts. */
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '../../src/units.ts'
import { DEMO_IMAGE, DEMO_LAYOUT } from '../support/project.ts'
import { run } from '../support/tools.ts'

/** A folder to work in, with what the scenario attached. */
export interface Place {
  folder: string
  file(name: string): string
  /** Loop devices of files in the folder, by file name. */
  loops: Map<string, string>
  piimage(...words: string[]): Promise<void>
}

export interface Scenario {
  name: string
  kills: number
  /** Names of files to be attached as drives. */
  drives?: readonly string[]
  /** Once. */
  prepare?(place: Place, t: TestContext): Promise<void>
  /** Before every run: back to where it starts from. */
  reset(place: Place): void | Promise<void>
  words(place: Place): string[]
  /** Files it makes or replaces. Each is as before, absent, or as a run that was left alone makes it. */
  files?: readonly string[]
  /** Of these, what was there before is never absent. */
  keeps?: readonly string[]
  /** Cards and images it changes in place. As before, as after, or without a start. */
  cards?: readonly string[]
  /** How many bytes at a card's start are empty where it is neither. */
  emptyBytes?: number
}

export const CARD_BYTES = DEMO_LAYOUT.length + MiB

/** An earlier life that boots. */
function oldCard(place: Place, ...names: string[]): void {
  const bytes = Buffer.alloc(CARD_BYTES, 0xa5)
  bytes.writeUInt16LE(0xaa55, 510)
  for (const name of names) writeFileSync(place.file(name), bytes, { flag: 'r+' })
}

/** Everything in it but the image, which is made again. */
const emptyCache = (place: Place) => {
  for (const name of ['downloads', 'images'])
    for (const file of readdirSync(place.file(`cache/${name}`)))
      if (!file.endsWith('.part') && !file.endsWith('.part.json')) rmSync(place.file(`cache/${name}/${file}`))
}

const download = (place: Place): string => {
  const lock = JSON.parse(readFileSync(place.file('images.lock.json'), 'utf8'))
  return lock.images[DEMO_IMAGE].download.sha256
}

export const scenarios: Scenario[] = [
  {
    name: 'images fetch, from a slow server',
    kills: 36,
    prepare: serveImage,
    reset: emptyCache,
    words: () => ['images', 'fetch', DEMO_IMAGE],
    files: ['cache/downloads/*', 'cache/images/*', 'cache/CACHEDIR.TAG'],
  },
  {
    name: 'images prune --all',
    kills: 20,
    prepare: async (place, t) => {
      await serveImage(place, t)
      await place.piimage('images', 'fetch', DEMO_IMAGE)
      run('cp', ['-r', '--sparse=always', place.file('cache'), place.file('kept')])
    },
    reset(place) {
      const id = download(place)
      for (const name of [`downloads/${id}`, `images/${id}.img`, `images/${id}.json`])
        run('cp', ['--sparse=always', place.file(`kept/${name}`), place.file(`cache/${name}`)])
      writeFileSync(place.file(`cache/downloads/${'ab'.repeat(32)}.part`), 'torn')
    },
    words: () => ['images', 'prune', '--all'],
    files: ['cache/downloads/*', 'cache/images/*'],
  },
  {
    name: 'flash to a new file, with unpacking',
    kills: 16,
    reset(place) {
      emptyCache(place)
      rmSync(place.file('oneil.img'), { force: true })
    },
    words: () => ['flash', '--node', 'oneil=oneil.img', '--yes'],
    files: ['oneil.img', 'cache/images/*'],
  },
  {
    name: 'flash in place of another file',
    kills: 14,
    prepare: (place) => place.piimage('flash', '--node', 'carter=carter.img'),
    reset: (place) => copyFileSync(place.file('carter.img'), place.file('oneil.img')),
    words: () => ['flash', '--node', 'oneil=oneil.img', '--yes'],
    files: ['oneil.img'],
    keeps: ['oneil.img'],
  },
  {
    name: 'flash to a card',
    kills: 30,
    drives: ['card'],
    reset: (place) => oldCard(place, 'card'),
    words: ({ loops }) => ['flash', '--node', `oneil=${loops.get('card')}`, '--yes'],
    cards: ['card'],
    emptyBytes: 4096,
  },
  {
    name: 'flash --probe to a card',
    kills: 8,
    drives: ['card'],
    reset: (place) => oldCard(place, 'card'),
    words: ({ loops }) => ['flash', '--node', `oneil=${loops.get('card')}`, '--yes', '--probe', '--full'],
    cards: ['card'],
    emptyBytes: 4096,
  },
  {
    name: 'flash to three cards, with more threads',
    kills: 14,
    drives: ['hammond', 'oneil', 'carter'],
    reset: (place) => oldCard(place, 'hammond', 'oneil', 'carter'),
    words: ({ loops }) => [
      'flash',
      ...['hammond', 'oneil', 'carter'].flatMap((node) => ['--node', `${node}=${loops.get(node)}`]),
      '--yes',
    ],
    cards: ['hammond', 'oneil', 'carter'],
    emptyBytes: 4096,
  },
  {
    name: 'flash --changed-only',
    kills: 14,
    drives: ['card'],
    prepare: makeBoth,
    reset: (place) => putOnCard(place, 'carter.img'),
    words: ({ loops }) => ['flash', '--node', `oneil=${loops.get('card')}`, '--yes', '--changed-only'],
    cards: ['card'],
    emptyBytes: 4096,
  },
  {
    name: 'customise a card',
    kills: 14,
    drives: ['card'],
    prepare: makeBoth,
    reset: (place) => putOnCard(place, 'carter.img'),
    words: ({ loops }) => ['customise', loops.get('card') ?? '', '--node', 'oneil', '--yes'],
    cards: ['card'],
    emptyBytes: 512,
  },
  {
    name: 'customise an image file',
    kills: 10,
    prepare: (place) => place.piimage('flash', '--node', 'carter=carter.img'),
    reset: (place) => copyFileSync(place.file('carter.img'), place.file('some.img')),
    words: () => ['customise', 'some.img', '--node', 'oneil', '--yes'],
    cards: ['some.img'],
    emptyBytes: 512,
  },
  {
    name: 'bake',
    kills: 14,
    prepare: async (place) => {
      await place.piimage('bake', '--node', 'oneil', '-o', 'kept')
      writeFileSync(place.file('kept/oneil.img'), 'an older image')
    },
    reset(place) {
      for (const name of ['oneil.img', 'oneil.img.sha256', 'oneil.bmap', 'os_list.json'])
        copyFileSync(place.file(`kept/${name}`), place.file(`out/${name}`))
    },
    words: () => ['bake', '--node', 'oneil', '-o', 'out', '--yes'],
    files: ['out/*'],
    keeps: ['out/oneil.img', 'out/os_list.json'],
  },
  {
    name: 'bake --format xz',
    kills: 10,
    reset(place) {
      for (const name of readdirSync(place.file('out')))
        if (!name.endsWith('.part')) rmSync(place.file(`out/${name}`))
    },
    words: () => ['bake', '--node', 'oneil', '-o', 'out', '--format', 'xz', '--level', '0'],
    files: ['out/*'],
  },
]

/** The demo image behind HTTP, in small pieces. */
async function serveImage(place: Place, t: TestContext): Promise<void> {
  const bytes = readFileSync(place.file('demo.img.xz'))
  const server = createServer(async (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': bytes.length - from,
      etag: '"one"',
      ...(from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    })
    for (let at = from; at < bytes.length && !response.destroyed; at += 1000) {
      response.write(bytes.subarray(at, at + 1000))
      await sleep(5)
    }
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const lock = JSON.parse(readFileSync(place.file('images.lock.json'), 'utf8'))
  lock.images[DEMO_IMAGE].url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/demo.img.xz`
  writeFileSync(place.file('images.lock.json'), JSON.stringify(lock))
}

async function makeBoth(place: Place): Promise<void> {
  await place.piimage('flash', '--node', 'carter=carter.img')
}

function putOnCard(place: Place, image: string): void {
  writeFileSync(place.file('card'), readFileSync(place.file(image)), { flag: 'r+' })
}
