/** `piimage netroot verify` and `adopt` as a person types them, on a server. */
import assert from 'node:assert/strict'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { demoProject } from '../support/project.ts'
import { MENU, openLab, reservations, SERVER } from './lab.ts'

const program = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

test('verify says ok and 0, or the fault and 7', async (t) => {
  const lab = openLab(t, 'serial')
  if (lab === undefined) return
  const project = demoProject(t)
  const nodes = [lab.addNode('oneil', 'pi3b+'), lab.addNode('carter', 'pi4')] as const
  await lab.startDnsmasq([...reservations(nodes), MENU])
  await lab.startNfs(nodes.map(({ rootFolder, ip }) => ({ folder: rootFolder, client: ip, access: 'RW' })))
  writeFileSync(join(lab.served.stateFolder, 'served.json'), JSON.stringify(lab.served))
  const verify = (...more: string[]) =>
    lab.onServer(
      process.execPath,
      ...[program, 'netroot', 'verify', '--cluster', project.file('cluster.yaml')],
      ...['--state', lab.served.stateFolder, ...more],
    )

  const good = verify()
  assert.equal(good.status, 0, good.stderr + good.stdout)
  assert.match(good.stdout, /^oneil pi3b\+ ok, \d\d requests, \d+\.\d [kM]B$/m)
  assert.match(good.stdout, /^carter pi4 ok, \d\d requests, /m)

  const fixup = join(nodes[1].bootFolder, 'fixup4.dat')
  renameSync(fixup, `${fixup}.away`)
  const bad = verify()
  assert.equal(bad.status, 7)
  assert.match(bad.stdout, /^carter pi4 1 fault, /m)
  assert.match(
    bad.stdout,
    /^ {2}firmware: \w{8}\/fixup4\.dat \(.*\/fixup4\.dat\): not found: .*\n {4}Lay the trees out again/m,
  )
  assert.match(bad.stderr, /1 of 2 nodes would not boot as they should: carter \(1 fault\)/)
  assert.equal(verify('--node', 'oneil').status, 0)
  // A Pi 5 needs no such file.
  assert.equal(verify('--node', 'carter', '--as', 'pi5').status, 0)

  const events = verify('--offline', '--json')
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const carter = events.find(({ event, node }) => event === 'node' && node === 'carter')
  assert.deepEqual([carter.ok, carter.faults.length, carter.faults[0].step], [false, 1, 'firmware'])
  assert.deepEqual([events.at(-1).ok, events.at(-1).exitCode], [false, 7])
  assert.equal(verify('--node', 'nobody').status, 2)

  const watched = lab.onServer(
    ...(['timeout', '--signal=INT', '--preserve-status', '3'] as const),
    ...[process.execPath, program, 'netroot', 'status', '--watch', '--cluster', project.file('cluster.yaml')],
    ...['--state', lab.served.stateFolder, '--log', join(lab.folder, 'dnsmasq.log')],
  )
  assert.equal(watched.status, 0, watched.stderr)
  assert.match(watched.stdout, /^NODE +STAGE.*\noneil +off *\ncarter +off/m)

  // While offers are waited for: the server's interface is left as it was.
  const command = [process.execPath, program, 'netroot', 'verify', '--cluster', project.file('cluster.yaml')]
  const stopped = lab.onServer(
    'timeout',
    '--signal=INT',
    '--preserve-status',
    '2.5',
    ...command,
    '--state',
    lab.served.stateFolder,
  )
  assert.equal(stopped.status, 130, stopped.stdout + stopped.stderr)
  assert.doesNotMatch(lab.onServer('ip', 'link').stdout, /piimage-tap/)
  assert.doesNotMatch(lab.onServer('tc', 'qdisc', 'show', 'dev', 'lan0').stdout, /clsact/)
})

test('verify refuses where it can’t put a node on the wire', async (t) => {
  const project = demoProject(t)
  const none = await project.piimage('netroot', 'verify', '--state', project.file('state'))
  assert.equal(none.status, 7)
  const lab = openLab(t, 'mac')
  if (lab === undefined) return
  writeFileSync(join(lab.served.stateFolder, 'served.json'), JSON.stringify(lab.served))
  const elsewhere = await project.piimage('netroot', 'verify', '--state', lab.served.stateFolder)
  assert.equal(elsewhere.status, 2)
  assert.match(elsewhere.stderr, /no interface lan0.*\n.*--offline/)
})

test('adopt finds a board that asks, and writes both addresses beside the comments', async (t) => {
  const lab = openLab(t, 'serial')
  if (lab === undefined) return
  const project = demoProject(t)
  const file = project.file('cluster.yaml')
  const before = readFileSync(file, 'utf8')
  const name = /^ {2}(\w+): *\{/m.exec(before.slice(before.indexOf('\nnodes:')))?.[1] as string
  await lab.startDnsmasq([...reservations([]), MENU])
  const adopt = (...words: string[]) =>
    lab.onServer(process.execPath, program, 'netroot', 'adopt', ...words, '--cluster', file, '--log', log)
  const log = join(lab.folder, 'dnsmasq.log')

  const looked = await lab.look({
    model: 'pi4',
    mac: 'dc:a6:32:01:02:03',
    serial: 'a1b2c3d4',
    server: SERVER,
  })
  assert.equal(looked.unknown[0]?.serial, 'a1b2c3d4')
  // The log alone doesn't have its serial number, but the board goes on asking.
  const adopted = adopt('a1b2c3d4', name)
  assert.equal(adopted.status, 0, adopted.stderr)
  const after = readFileSync(file, 'utf8')
  assert.equal(after.replace(/, mac: "dc:a6:32:01:02:03", serial: "a1b2c3d4"/, ''), before)
  assert.notEqual(after, before)

  const others = [...before.slice(before.indexOf('\nnodes:')).matchAll(/^ {2}(\w+): *\{/gm)].map(
    ([, other]) => other as string,
  )
  const twice = adopt('a1b2c3d4', others.find((other) => other !== name) as string, 'dc:a6:32:01:02:03')
  assert.equal(twice.status, 2)
  assert.match(twice.stderr, /cluster\.yaml:\d+:\d+: /)
  rmSync(log)
  const deaf = adopt('a1b2c3d4', name)
  assert.equal(deaf.status, 2)
  assert.match(deaf.stderr, /dnsmasq's log .*dnsmasq\.log can't be read \(ENOENT\)\n.*--log/)
  assert.equal(readFileSync(file, 'utf8'), after)
  rmSync(file)
})
