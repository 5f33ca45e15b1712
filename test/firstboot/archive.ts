/**
 * A package archive on localhost with everything the steps install, signed, and
 * with bad days: real apt and dpkg are what meets them.
 */
import { createHash } from 'node:crypto'
import {
  cpSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, normalize } from 'node:path'
import { run } from '../support/tools.ts'

/** `refused`: nobody listens. `gone`: it has moved. `early`: it is from the future. `late`: its word has run out. */
export type Mood = 'good' | 'refused' | 'gone' | 'early' | 'late' | 'forged'

export interface Archive {
  /** Base of all of them: `${url}/linux/debian`, `${url}/v1.34/deb`, `${url}/flat`, `${url}/k3s`. */
  url: string
  /** Its public key, armored, and that key's fingerprint. */
  key: string
  fingerprint: string
  be(mood: Mood): Promise<void>
  /** A file of the archive's own. */
  put(path: string, text: string): void
}

/** Programs by package, all of any architecture. */
const packages: Record<string, Record<string, string>> = {
  'docker-ce': { 'usr/bin/dockerd': '#!/bin/sh\n', 'usr/lib/systemd/system/docker.service': '[Service]\n' },
  'docker-ce-cli': { 'usr/bin/docker': '#!/bin/sh\n' },
  'containerd.io': { 'usr/bin/containerd': '#!/bin/sh\n' },
  dnsmasq: { 'usr/lib/systemd/system/dnsmasq.service': '[Service]\n' },
  containerd: {
    'usr/bin/containerd': "#!/bin/sh\nprintf '[runc.options]\\n    SystemdCgroup = false\\n'\n",
    'usr/lib/systemd/system/containerd.service': '[Service]\n',
  },
  kubelet: { 'usr/bin/kubelet': '#!/bin/sh\n', 'usr/lib/systemd/system/kubelet.service': '[Service]\n' },
  kubeadm: { 'usr/bin/kubeadm': '#!/bin/sh\n' },
  kubectl: { 'usr/bin/kubectl': '#!/bin/sh\n' },
}

/** Where its power goes in the middle of an installation, if somebody asked for it. */
const POSTINST = `#!/bin/sh
if [ -e /run/rig/cut-here ]; then rm /run/rig/cut-here; kill -9 -1; fi
exit 0
`

const day = 24 * 60 * 60 * 1000

/** @param after registers what is to be done at the end, as the test runner's `after` does */
export async function openArchive(
  after: (done: () => void) => void,
  codename: string,
  architecture: string,
): Promise<Archive> {
  const folder = mkdtempSync(join(tmpdir(), 'piimage-archive-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const keys = ['right', 'wrong'].map((name) => makeKey(join(folder, name), after))
  const pool = join(folder, 'good', 'pool')
  mkdirSync(pool, { recursive: true })
  for (const [name, files] of Object.entries(packages)) makePackage(folder, pool, name, files)
  const [right, wrong] = keys
  if (right === undefined || wrong === undefined) throw new Error('no keys')
  const days: [mood: Mood, home: string, from: number, to: number][] = [
    ['good', right.home, -day, 30 * day],
    ['early', right.home, 3 * day, 30 * day],
    ['late', right.home, -30 * day, -day],
    ['forged', wrong.home, -day, 30 * day],
  ]
  for (const [mood, home, from, to] of days) {
    if (mood !== 'good') cpSync(pool, join(folder, mood, 'pool'), { recursive: true })
    layLists(join(folder, mood), { home, codename, architecture, from, to })
  }

  let mood: Mood = 'good'
  const server = createServer((request, response) => {
    const asked = normalize(decodeURIComponent(request.url ?? '/')).replace(
      /^\/(linux\/debian|v1\.\d+\/deb|flat)\//,
      '/',
    )
    const path = join(folder, asked.startsWith('/k3s/') ? 'good' : mood, asked)
    let size: number
    try {
      if (mood === 'gone') throw new Error('moved')
      size = statSync(path).size
    } catch {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-length': size })
    createReadStream(path).pipe(response)
  })
  const listen = (port: number) => new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
  await listen(0)
  const { port } = server.address() as AddressInfo
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${port}`,
    ...right,
    be: async (wanted) => {
      if (wanted === 'refused' && mood !== 'refused') {
        server.closeAllConnections()
        await new Promise((done) => server.close(done))
      }
      if (wanted !== 'refused' && mood === 'refused') await listen(port)
      mood = wanted
    },
    put: (path, text) => {
      mkdirSync(join(folder, 'good', path, '..'), { recursive: true })
      writeFileSync(join(folder, 'good', path), text)
    },
  }
}

function makeKey(
  home: string,
  after: (done: () => void) => void,
): { home: string; key: string; fingerprint: string } {
  mkdirSync(home, { mode: 0o700 })
  after(() => void run('gpgconf', ['--homedir', home, '--kill', 'all']))
  must([
    'gpg',
    '--homedir',
    home,
    '--batch',
    '--passphrase',
    '',
    '--quick-gen-key',
    'archive',
    'ed25519',
    'sign',
    'never',
  ])
  const listed = must(['gpg', '--homedir', home, '--batch', '--with-colons', '--list-keys'])
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? ''
  return { home, key: must(['gpg', '--homedir', home, '--batch', '--armor', '--export']), fingerprint }
}

function makePackage(folder: string, pool: string, name: string, files: Record<string, string>): void {
  const root = join(folder, 'packages', name)
  const control = `Package: ${name}\nVersion: 99:1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: of a test\n`
  const all = { 'DEBIAN/control': control, 'DEBIAN/postinst': POSTINST, ...files }
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 })
  }
  must(['dpkg-deb', '--root-owner-group', '-Znone', '--build', root, join(pool, `${name}.deb`)])
}

interface Lists {
  home: string
  codename: string
  architecture: string
  /** Milliseconds from now: since when, and until when, they are valid. */
  from: number
  to: number
}

/** The same packages as a flat archive and as one with suites. */
function layLists(base: string, { home, codename, architecture, from, to }: Lists): void {
  const pool = join(base, 'pool')
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  const list = readdirSync(pool)
    .map((name) => {
      const bytes = readFileSync(join(pool, name))
      return `${must(['dpkg-deb', '-f', join(pool, name)])}Filename: pool/${name}\nSize: ${bytes.length}\nSHA256: ${digest(bytes)}\n`
    })
    .join('\n')
  const places = [
    { folder: base, packages: 'Packages' },
    { folder: join(base, 'dists', codename), packages: `stable/binary-${architecture}/Packages` },
  ]
  for (const { folder, packages: path } of places) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), list)
    const date = (offset: number) => new Date(Date.now() + offset).toUTCString()
    writeFileSync(
      join(folder, 'Release'),
      `Suite: ${codename}\nCodename: ${codename}\nDate: ${date(from)}\nValid-Until: ${date(to)}\nArchitectures: ${architecture} all\nComponents: stable\nSHA256:\n ${digest(Buffer.from(list))} ${list.length} ${path}\n`,
    )
    must([
      'gpg',
      '--homedir',
      home,
      '--batch',
      '--yes',
      '--clearsign',
      '-o',
      join(folder, 'InRelease'),
      join(folder, 'Release'),
    ])
  }
}

function must([command, ...args]: [string, ...string[]]): string {
  const { status, stdout, stderr } = run(command, args)
  if (status !== 0) throw new Error(`${command}: ${stderr}`)
  return stdout
}
