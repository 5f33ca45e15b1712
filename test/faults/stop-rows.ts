/** Moments at which piimage is stopped, and how things should stand then: the rows of stops.test.ts. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { tryLockEntry } from '../../src/io/entry-lock.ts'
import { MiB } from '../../src/units.ts'
import { disklessProject, STATE } from '../netroot/diskless.ts'
import { oddCard } from '../support/bad-card.ts'
import { attachLoop } from '../support/loop.ts'
import { DEMO_IMAGE, type Project } from '../support/project.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

export interface Arranged {
  words: string[]
  /** Stop it when it says this, or when this resolves. */
  at: RegExp | Promise<void>
  /** What must hold afterwards. */
  check(): void
  /** Where it runs; default: the project's folder. */
  cwd?: string
  /** What becomes it, as for a victim. */
  within?: string[]
}

export interface Stop {
  name: string
  signal?: 'SIGINT' | 'SIGTERM' | 'SIGHUP'
  /** @returns undefined after the test was skipped */
  arrange(t: TestContext, project: Project): Promise<Arranged | undefined>
  says: RegExp
}

const CARD_BYTES = 64 * MiB

const phase = (name: string): RegExp => new RegExp(`"phase":"${name}"`)

/** A server that sends the first half of the demo image, and then nothing. */
async function stallingServer(t: TestContext, project: Project): Promise<string> {
  const bytes = readFileSync(project.file('demo.img.xz'))
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': bytes.length, etag: '"one"' })
    response.write(bytes.subarray(0, bytes.length / 2))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/demo.img.xz`
  const lock = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8'))
  lock.images[DEMO_IMAGE].url = url
  writeFileSync(project.file('images.lock.json'), JSON.stringify(lock))
  return url
}

/** An ssh server that never says a word. */
async function muteServer(t: TestContext, onConnection: () => void): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    onConnection()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

/** Another process works on the image. */
function holdLock(t: TestContext, project: Project): void {
  const { sha256 } = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8')).images[DEMO_IMAGE]
    .download
  for (const name of ['downloads', 'images', 'locks'])
    if (!existsSync(project.file(`cache/${name}`))) mkdirSync(project.file(`cache/${name}`))
  const lock = tryLockEntry(project.file(`cache/locks/${sha256}.image`))
  assert.ok('release' in lock)
  t.after(() => lock.release())
}

/** A network namespace with nobody in it. */
function emptyNetwork(t: TestContext) {
  if (!needRoot(t) || needTool(t, 'ip', 'iproute2') === undefined) return undefined
  const name = `stops-${process.pid}`
  const ip = (...words: string[]): string => {
    const ran = run('ip', words)
    assert.equal(ran.status, 0, ran.stderr)
    return ran.stdout
  }
  ip('netns', 'add', name)
  t.after(() => run('ip', ['netns', 'del', name]))
  const interfaces = () =>
    JSON.parse(ip('-n', name, '-j', 'link')).map(({ ifname }: { ifname: string }) => ifname)
  return {
    within: ['nsenter', `--net=/run/netns/${name}`],
    interfaces,
    give(face: string, address: string): void {
      ip('-n', name, 'link', 'add', face, 'type', 'veth', 'peer', 'name', 'nobody')
      ip('-n', name, 'link', 'set', 'nobody', 'up')
      ip('-n', name, 'address', 'add', address, 'dev', face)
      ip('-n', name, 'link', 'set', face, 'up')
    },
    async holds(face: string): Promise<void> {
      while (!interfaces().includes(face)) await sleep(50, undefined, { signal: t.signal })
    },
  }
}

const emptyHead = (path: string) => {
  const head = readFileSync(path).subarray(0, MiB)
  assert.ok(
    head.every((byte) => byte === 0),
    'the first MiB is empty',
  )
}

/** Files, not folders. */
const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map(({ name }) => name)
    : []

const noImages = (project: Project) => () => {
  assert.deepEqual(
    readdirSync(project.file('cache/images')).filter((name) => !name.endsWith('.part')),
    [],
  )
  assert.deepEqual(readdirSync(project.file('cache/locks')), [])
}

/** A slow card with an earlier life on it, and flash's words. */
const slowFlash =
  (at: RegExp, ...flags: string[]) =>
  async (t: TestContext): Promise<Arranged | undefined> => {
    const card = await oddCard(t, CARD_BYTES, { delayMs: 30 })
    if (card === undefined) return undefined
    const before = Buffer.alloc(CARD_BYTES, 0xa5)
    writeFileSync(card.backing, before, { flag: 'r+' })
    return {
      words: ['flash', '--node', `oneil=${card.path}`, '--yes', ...flags],
      at,
      check() {
        if (flags.includes('--changed-only'))
          assert.ok(readFileSync(card.backing).equals(before), 'untouched')
        else emptyHead(card.backing)
      },
    }
  }

export const stops: Stop[] = [
  {
    name: 'images fetch, while the server stalls',
    async arrange(t, project) {
      await stallingServer(t, project)
      return { words: ['images', 'fetch', DEMO_IMAGE], at: phase('download'), check: noImages(project) }
    },
    says: /stopped/,
  },
  {
    name: 'images fetch, while it waits for another process',
    signal: 'SIGTERM',
    async arrange(t, project) {
      holdLock(t, project)
      return {
        words: ['images', 'fetch', DEMO_IMAGE],
        at: /waiting for process/,
        check: () => assert.deepEqual(readdirSync(project.file('cache/images')), []),
      }
    },
    says: /stopped/,
  },
  {
    name: 'images fetch, while it unpacks',
    signal: 'SIGHUP',
    arrange: async (_, project) => ({
      words: ['images', 'fetch', DEMO_IMAGE],
      at: phase('unpack'),
      check: noImages(project),
    }),
    says: /stopped/,
  },
  {
    name: 'images lock, while the publisher stalls',
    async arrange(t, project) {
      const url = await stallingServer(t, project)
      const before = readFileSync(project.file('images.lock.json'), 'utf8')
      return {
        words: ['images', 'lock', url, '--key', 'x-trixie-arm64-lite@1', '--trust-first-use'],
        at: phase('download'),
        check: () => assert.equal(readFileSync(project.file('images.lock.json'), 'utf8'), before),
      }
    },
    says: /stopped/,
  },
  {
    name: 'images verify',
    async arrange(_, project) {
      assert.equal((await project.piimage('images', 'fetch', DEMO_IMAGE)).status, 0)
      return { words: ['images', 'verify'], at: phase('check'), check() {} }
    },
    says: /stopped/,
  },
  {
    name: 'flash to a file, while the server stalls',
    async arrange(t, project) {
      await stallingServer(t, project)
      return {
        words: ['flash', '--node', 'oneil=oneil.img'],
        at: phase('download'),
        check() {
          assert.deepEqual(
            readdirSync(project.folder).filter((name) => name.startsWith('oneil')),
            [],
          )
        },
      }
    },
    says: /stopped/,
  },
  { name: 'flash, while the card is written', arrange: slowFlash(phase('write')), says: /left unbootable/ },
  {
    name: 'flash, while the card is read back',
    signal: 'SIGTERM',
    arrange: slowFlash(phase('verify')),
    says: /left unbootable/,
  },
  {
    name: 'flash --probe, while the card is probed',
    arrange: slowFlash(/"phase":"check","subject":"\/dev\//, '--probe'),
    says: /left unbootable/,
  },
  {
    name: 'flash --changed-only, while the card is compared',
    arrange: slowFlash(/"phase":"check","subject":"\/dev\//, '--changed-only'),
    says: /nothing was written/,
  },
  {
    name: 'flash with more threads, while the cards are written',
    async arrange(t, project) {
      const slow = await oddCard(t, CARD_BYTES, { delayMs: 30 })
      if (slow === undefined) return undefined
      writeFileSync(project.file('card'), Buffer.alloc(CARD_BYTES, 0xa5))
      const loop = attachLoop(t, project.file('card'))
      return {
        words: ['flash', '--node', `oneil=${slow.path}`, '--node', `carter=${loop}`, '--yes'],
        at: phase('write'),
        check: () => emptyHead(slow.backing),
      }
    },
    says: /left unbootable|is complete|nothing was written/,
  },
  {
    name: 'flash --all, while it waits for a card',
    async arrange(t, project) {
      if (!needRoot(t)) return undefined
      return {
        words: ['flash', '--all', '--yes', project.file('reader')],
        at: /"event":"waiting"/,
        check: () => assert.ok(!existsSync(project.file('.piimage-batch.json'))),
      }
    },
    says: /stopped; 0 of 3 nodes have their card/,
  },
  {
    name: 'flash --all, while a card is written',
    async arrange(t) {
      const slow = await oddCard(t, CARD_BYTES, { delayMs: 30 })
      if (slow === undefined) return undefined
      return {
        words: ['flash', '--all', '--yes', slow.path],
        at: phase('write'),
        check: () => emptyHead(slow.backing),
      }
    },
    says: /stopped; 0 of 3 nodes have their card/,
  },
  {
    name: 'customise, while the card is changed',
    async arrange(t, project) {
      const slow = await oddCard(t, CARD_BYTES, { delayMs: 10 })
      if (slow === undefined) return undefined
      assert.equal((await project.piimage('flash', '--node', 'carter=carter.img')).status, 0)
      const before = readFileSync(project.file('carter.img'))
      writeFileSync(slow.backing, before, { flag: 'r+' })
      return {
        words: ['customise', slow.path, '--node', 'oneil', '--yes'],
        at: phase('write'),
        check: () => assert.ok(readFileSync(slow.backing).subarray(0, before.length).equals(before)),
      }
    },
    says: /stopped while changing .*; it is as it was before/,
  },
  ...(['img', 'xz', 'zst'] as const).map(
    (format): Stop => ({
      name: `bake --format ${format}`,
      arrange: async (_, project) => ({
        words: ['bake', '--node', 'oneil', '-o', 'out', '--format', format],
        at: phase(format === 'img' ? 'write' : 'compress'),
        check: () => assert.deepEqual(readdirSync(project.file('out')), []),
      }),
      says: /stopped/,
    }),
  ),
  {
    name: 'inspect --check',
    async arrange(t, project) {
      const slow = await oddCard(t, CARD_BYTES, { delayMs: 30 })
      if (slow === undefined) return undefined
      assert.equal((await project.piimage('flash', '--node', 'oneil=oneil.img')).status, 0)
      writeFileSync(slow.backing, readFileSync(project.file('oneil.img')), { flag: 'r+' })
      return { words: ['inspect', slow.path, '--check'], at: phase('verify'), check() {} }
    },
    says: /stopped/,
  },
  {
    name: 'netroot, while it unpacks',
    async arrange(t) {
      if (!needRoot(t)) return undefined
      const diskless = disklessProject(t)
      const words = ['netroot', '--root-mode', 'copy', '--prefix', diskless.server('/')]
      const check = () => assert.deepEqual(filesBelow(diskless.server('/')), [])
      return { words, at: phase('unpack'), check, cwd: diskless.folder }
    },
    says: /stopped/,
  },
  {
    name: 'netroot, while it waits for another one',
    signal: 'SIGTERM',
    async arrange(t) {
      if (!needRoot(t)) return undefined
      const diskless = disklessProject(t)
      const state = diskless.server(STATE)
      mkdirSync(state, { recursive: true })
      const lock = tryLockEntry(`${state}/lock`)
      assert.ok('release' in lock)
      t.after(() => lock.release())
      return {
        words: ['netroot', '--root-mode', 'copy', '--prefix', diskless.server('/')],
        at: /waiting for process/,
        check: () => assert.deepEqual(filesBelow(state), ['lock']),
        cwd: diskless.folder,
      }
    },
    says: /stopped/,
  },
  {
    name: 'netroot adopt, while no board is heard',
    async arrange(t) {
      const network = emptyNetwork(t)
      if (network === undefined) return undefined
      const { folder, file } = disklessProject(t)
      writeFileSync(file('dnsmasq.log'), '')
      const words = ['netroot', 'adopt', 'b8:27:eb:00:00:02', 'carter', '--log', file('dnsmasq.log')]
      const before = readFileSync(file('cluster.yaml'), 'utf8')
      const check = () => assert.equal(readFileSync(file('cluster.yaml'), 'utf8'), before)
      return { words, at: /waiting for the board/, check, cwd: folder, within: network.within }
    },
    says: /stopped/,
  },
  {
    name: 'netroot verify, while no server answers',
    signal: 'SIGTERM',
    async arrange(t) {
      const network = emptyNetwork(t)
      if (network === undefined) return undefined
      const diskless = disklessProject(t)
      const made = await diskless.netroot('--root-mode', 'copy')
      assert.equal(made.status, 0, made.stderr)
      const state = diskless.server(STATE)
      const { server } = JSON.parse(readFileSync(join(state, 'served.json'), 'utf8'))
      network.give(server.interface, `${server.ip}/${server.prefix}`)
      return {
        words: ['netroot', 'verify', '--state', state],
        at: network.holds('piimage-tap1'),
        check: () => assert.deepEqual(network.interfaces(), ['lo', 'nobody', server.interface]),
        cwd: diskless.folder,
        within: network.within,
      }
    },
    says: /stopped/,
  },
  ...(['status', 'join'] as const).map(
    (command): Stop => ({
      name: `${command}, while the nodes are silent`,
      async arrange(t, project) {
        if (needTool(t, 'ssh', 'openssh-client') === undefined) return undefined
        let connected = () => {}
        const at = new Promise<void>((resolve) => {
          connected = resolve
        })
        const port = await muteServer(t, () => connected())
        const config = `Host *\n  HostName 127.0.0.1\n  Port ${port}\n  IdentitiesOnly yes\n`
        writeFileSync(project.file('ssh_config'), config)
        if (command === 'join')
          writeFileSync(
            project.file('cluster.yaml'),
            `${readFileSync(project.file('cluster.yaml'), 'utf8')}\njoin: { kind: swarm, head: hammond, by: ssh-push }\n`,
          )
        return { words: [command, '--ssh-config', 'ssh_config'], at, check() {} }
      },
      says: /stopped/,
    }),
  ),
]
