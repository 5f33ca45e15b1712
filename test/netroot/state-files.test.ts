/** piimage's own files in a state folder: torn, foreign, older and newer ones. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { NetrootError } from '../../src/errors.ts'
import { listEditions, writeHistory } from '../../src/netroot/editions.ts'
import { readGeneration } from '../../src/netroot/generation.ts'
import { readOwnFiles, writeOwnFiles } from '../../src/netroot/own-files.ts'
import { readServed, writeServed } from '../../src/netroot/state.ts'
import { removeSlots } from '../../src/netroot/usb-links.ts'
import { EMPTY_RECORD, readRecord, writeRecord } from '../../src/servers/record.ts'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'

const STATE = '/srv/piimage/demo'

const overlay = { lower: '/l', upper: '/u', work: '/w', merged: '/m' }
const served = {
  cluster: 'demo',
  stateFolder: STATE,
  tftpRoot: `${STATE}/tftp`,
  server: { ip: '10.3.50.1', prefix: 24, interface: 'eth0' },
  network: { cidr: '10.3.50.0/24', dns: ['10.3.50.1'] },
  nodes: [
    {
      name: 'oneil',
      model: 'pi4' as const,
      ip: '10.3.50.11',
      serial: 'a1b2c3d4',
      generation: 'g',
      edition: 'e',
      bootFolder: '/b',
      rootFolder: '/m',
      rootMode: 'overlay' as const,
      overlay,
      exports: [{ folder: '/m', client: '10.3.50.11', writable: true, fsid: '1' }],
      tftpNames: ['a1b2c3d4'],
    },
  ],
}
const edition = {
  ...{ node: 'oneil', edition: 'e', generation: 'g', image: 'i', rootMode: 'overlay' },
  ...{ bootFolder: '/b', rootFolder: '/m', overlay },
}
const generation = {
  ...{ id: 'g', image: 'i', sha256: 'f'.repeat(64), modified: '2026-06-18T00:00:00.000Z' },
  capabilities: [{ path: 'usr/bin/ping', capabilities: 'cap_net_raw=ep' }],
}
const record = {
  files: [{ path: '/etc/exports.d/piimage.exports', digests: ['f'.repeat(64)] }],
  folders: ['/etc/exports.d'],
  services: [{ unit: 'dnsmasq.service', enabled: true, active: false }],
  pending: [],
}

interface StateFile {
  path: string
  /** As this version writes it, without the version. */
  value: object
  /** As it was written before there were versions; undefined: it always had one. */
  unversioned?: unknown
  /** The empty form that it could have then. */
  mayBe?: '{}' | '[]'
  read(prefix: string): unknown
}

const files: StateFile[] = [
  {
    path: 'served.json',
    value: served,
    unversioned: served,
    read: (prefix) => readServed(STATE, { prefix }),
  },
  {
    path: 'nodes/oneil/e/edition.json',
    value: edition,
    unversioned: edition,
    read: (prefix) => {
      writeHistory(STATE, 'oneil', ['e'], { prefix })
      return listEditions(STATE, 'oneil', { prefix })[0]
    },
  },
  {
    path: 'generations/g/generation.json',
    value: generation,
    unversioned: generation,
    read: (prefix) => readGeneration(join(prefix, STATE, 'generations/g')),
  },
  {
    path: 'nodes/oneil/e/own.json',
    value: { files: { '/etc/hostname': 'f'.repeat(64), '/etc/fstab': 'gone' } },
    mayBe: '{}',
    unversioned: { '/etc/hostname': 'f'.repeat(64), '/etc/fstab': 'gone' },
    read: (prefix) => ({ files: readOwnFiles(join(prefix, STATE, 'nodes/oneil/e')) }),
  },
  {
    path: 'usb-folders.json',
    value: { folders: ['/var/lib/clusterctrl'] },
    mayBe: '[]',
    unversioned: ['/var/lib/clusterctrl'],
    read: (prefix) => {
      // Reading it is how the folders are found that go.
      mkdirSync(join(prefix, '/var/lib/clusterctrl'), { recursive: true })
      removeSlots(STATE, { prefix })
      assert.throws(() => readFileSync(join(prefix, '/var/lib/clusterctrl')), /ENOENT/)
      return { folders: ['/var/lib/clusterctrl'] }
    },
  },
  {
    path: 'servers.json',
    value: record,
    read: (prefix) => readRecord(join(prefix, STATE, 'servers.json')),
  },
]

/** Every value in it, one after the other, as something else. */
function* withOneWrong(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    yield { 0: 'not a list' }
    for (const [index, one] of value.entries())
      for (const other of withOneWrong(one)) yield value.with(index, other)
  } else if (typeof value === 'object' && value !== null) {
    yield ['not', 'a', 'mapping']
    for (const [key, one] of Object.entries(value))
      for (const other of withOneWrong(one)) yield { ...value, [key]: other }
  } else {
    yield typeof value === 'string' ? 7 : 'text'
    yield null
  }
}

for (const { path, value, unversioned, mayBe, read } of files) {
  test(`${path}: read as written, and from before it had a version`, async (t) => {
    for (const written of [{ version: 1, ...value }, unversioned ?? { version: 1, ...value }]) {
      const prefix = tempFolder(t)
      const full = join(prefix, STATE, path)
      mkdirSync(dirname(full), { recursive: true })
      writeFileSync(full, JSON.stringify(written))
      assert.deepEqual(await read(prefix), value)
    }
  })

  test(`${path}: a damaged, foreign or newer one is refused by name, with the next step`, async (t) => {
    const prefix = tempFolder(t)
    const full = join(prefix, STATE, path)
    mkdirSync(dirname(full), { recursive: true })
    const whole = JSON.stringify({ version: 1, ...value }, undefined, 1)
    const cut = [0, 1, 2, 3, 4, 5, 6, 7].map((eighth) => whole.slice(0, (whole.length * eighth) / 8))
    const refused = async (content: string | Uint8Array, message: RegExp) => {
      writeFileSync(full, content)
      await assert.rejects(
        async () => read(prefix),
        (error) => {
          assert.ok(error instanceof NetrootError, `${String(error)} of ${content}`)
          assert.equal(error.exitCode, 7)
          assert.ok(error.message.startsWith(`${full} `), error.message)
          assert.match(error.message, message)
          assert.ok(error.hint)
          return true
        },
      )
    }
    for (const content of [
      ...cut,
      `${whole}}`,
      'null',
      '7',
      '"x"',
      Buffer.alloc(4096),
      Buffer.from([0xff, 0xfe]),
    ])
      await refused(content, / is not the /)
    // Before there were versions, an empty list or mapping could be the whole file.
    for (const empty of ['{}', '[]']) if (empty !== mayBe) await refused(empty, / is not the /)
    for (const wrong of withOneWrong(value))
      if (typeof wrong === 'object' && !Array.isArray(wrong))
        await refused(
          JSON.stringify({ version: 1, ...wrong }),
          / is not the .*: .+ (is not|is not one of|is missing)/,
        )
    for (const version of [2, 99])
      await refused(JSON.stringify({ version, ...value }), /written by a newer piimage/)
    for (const version of [0, -1, 0.5])
      await refused(JSON.stringify({ version, ...value }), /version -?[0-9.]+ is unknown/)
  })
}

test('what is written now is read again, and says its version', async (t) => {
  const prefix = tempFolder(t)
  const place = { prefix }
  mkdirSync(join(prefix, STATE), { recursive: true })
  const versionOf = (path: string) => JSON.parse(readFileSync(join(prefix, STATE, path), 'utf8')).version
  await writeServed(served, place)
  assert.deepEqual(readServed(STATE, place), served)
  const recordFile = join(prefix, STATE, 'servers.json')
  assert.deepEqual(await readRecord(recordFile), EMPTY_RECORD, 'none there')
  await writeRecord(recordFile, record)
  assert.deepEqual(await readRecord(recordFile), record)
  const content = Buffer.from('x')
  writeOwnFiles(join(prefix, STATE), [{ kind: 'file', path: '/etc/x', mode: 0o644, content }])
  assert.deepEqual(Object.keys(readOwnFiles(join(prefix, STATE))), ['/etc/x'])
  assert.deepEqual(['served.json', 'servers.json', 'own.json'].map(versionOf), [1, 1, 1])
})

test('on the command line it is exit 7, whichever action reads it', async (t) => {
  const folder = tempFolder(t)
  await runPiimage(folder, ['init', '--template', 'demo', '--yes'])
  const state = join(folder, 'state')
  mkdirSync(state)
  for (const content of ['{}', '{"cluster":"c","nod', '\0\0\0'])
    for (const action of [['status'], ['diff', 'oneil'], ['prune'], ['rollback', 'oneil']]) {
      writeFileSync(join(state, 'served.json'), content)
      const said = await runPiimage(folder, ['netroot', ...action, '--state', state])
      assert.equal(said.status, 7, `${action.join(' ')}: ${said.stderr}`)
      assert.match(
        said.stderr,
        /served\.json is not the record of what is laid out.*\n {2}Run piimage netroot/,
      )
    }
})
