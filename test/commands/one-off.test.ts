/** A node without a cluster file, and files given on the command line: what the usual flashing script does, without its faults. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { parse } from 'yaml'
import { splitFile } from '../../src/work/extra-files.ts'
import { bootFiles } from '../support/boot-files.ts'
import { DEMO_IMAGE, demoProject, type Project, type ProjectOptions } from '../support/project.ts'
import { needTool, run } from '../support/tools.ts'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe me@here'

/** A folder with an image and nothing of a cluster. */
function bareFolder(t: TestContext, options: ProjectOptions = {}): Project {
  const project = demoProject(t, options)
  for (const name of ['cluster.yaml', 'cluster.key']) rmSync(project.file(name))
  return project
}

async function flashOne(project: Project, ...args: string[]): Promise<Map<string, string>> {
  const said = await project.piimage(
    'flash',
    'card.img',
    '--yes',
    '--image',
    DEMO_IMAGE,
    '--lock',
    project.file('images.lock.json'),
    ...args,
  )
  assert.equal(said.status, 0, said.stderr)
  return bootFiles(project.file('card.img'))
}

const userData = (files: Map<string, string>): Record<string, unknown> => {
  const text = files.get('user-data') ?? ''
  assert.match(text, /^#cloud-config\n/)
  return parse(text, { version: '1.1' })
}

test('host name, user, key and Wi-Fi from flags; the card is as a cluster file would make it', async (t) => {
  const project = bareFolder(t)
  writeFileSync(project.file('id.pub'), `${KEY}\n`)
  writeFileSync(project.file('phrase'), 'correct horse battery\n', { mode: 0o600 })
  const files = await flashOne(
    project,
    ...['--hostname', 'pi', '--user', 'me', '--ssh-key', 'id.pub'],
    ...['--ssid', 'gate', '--wifi-passphrase-file', 'phrase', '--wifi-country', 'NL'],
  )
  const settings = userData(files)
  assert.equal(settings.hostname, 'pi')
  assert.match(JSON.stringify(settings), /AAAAC3NzaC1lZDI1NTE5/)
  assert.match(files.get('network-config') ?? '', /gate/)
  for (const content of files.values()) assert.ok(!content.includes('correct horse battery'), 'only its key')
  const inspected = await project.piimage('inspect', 'card.img')
  assert.match(inspected.stdout, /node: pi of cluster one-off/)
})

test('the pass phrase is asked for when no file gives it, and without one nothing is written', async (t) => {
  const project = bareFolder(t)
  const said = await project.piimage(
    ...['flash', 'card.img', '--image', DEMO_IMAGE, '--lock', project.file('images.lock.json')],
    ...['--hostname', 'pi', '--ssid', 'gate', '--wifi-country', 'NL'],
  )
  assert.equal(said.status, 2)
  assert.match(said.stderr, /no pass phrase for gate\n {2}Give --wifi-passphrase-file/)
  assert.ok(!existsSync(project.file('card.img')))
})

test('an image file here: its digest is taken and said, --sha256 is held against it', async (t) => {
  const project = bareFolder(t)
  const flash = (...args: string[]) =>
    project.piimage('flash', 'card.img', '--yes', '--image', 'demo.img.xz', '--hostname', 'pi', ...args)
  const said = await flash()
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stderr, /demo\.img\.xz: sha256 [0-9a-f]{64}, computed now; nobody vouches for it/)
  const wrong = await flash('--sha256', '0'.repeat(64))
  assert.equal(wrong.status, 3)
  assert.match(wrong.stderr, /has the sha256 [0-9a-f]{64}, not 0{64}/)
})

/** Serves these paths until the test ends. */
async function serve(t: TestContext, files: Record<string, Uint8Array | string>): Promise<string> {
  const server = createServer((request, response) => {
    const body = files[request.url ?? '']
    response.writeHead(body === undefined ? 404 : 200)
    response.end(request.method === 'HEAD' ? undefined : body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Of user-data: what a person's entries of runcmd became. */
const ownCommands = (files: Parameters<typeof userData>[0]): string[] =>
  (userData(files).runcmd as unknown[]).flatMap((entry) =>
    Array.isArray(entry) && entry[1] === '-c' ? [String(entry[2])] : [],
  )

test('addresses: files from them, an image only with a digest or on trust', async (t) => {
  const project = bareFolder(t)
  const url = await serve(t, {
    '/user-data': '#cloud-config\nruncmd:\n  - echo hello\n',
    '/greeting.txt': 'hello',
    '/my.img.xz': readFileSync(project.file('demo.img.xz')),
  })
  const files = await flashOne(
    project,
    ...['--hostname', 'pi', '--userdata', `${url}/user-data`, '--file', `${url}/greeting.txt:hi/there.txt`],
  )
  assert.ok(ownCommands(files).includes('echo hello\n'))
  assert.equal(files.get('hi/there.txt'), 'hello')

  const flash = (...args: string[]) =>
    project.piimage('flash', 'card.img', '--yes', '--image', `${url}/my.img.xz`, '--hostname', 'pi', ...args)
  const refused = await flash()
  assert.equal(refused.status, 2, refused.stderr)
  assert.match(refused.stderr, /--sha256 HEX.*--trust-first-use/)
  const trusted = await flash('--trust-first-use')
  assert.equal(trusted.status, 0, trusted.stderr)
  const digest = run('sha256sum', [project.file('demo.img.xz')]).stdout.slice(0, 64)
  assert.equal((await flash('--sha256', digest)).status, 0)
  assert.equal((await flash('--sha256', 'f'.repeat(64))).status, 3)
  const missing = await project.piimage(
    'flash',
    'card.img',
    '--hostname',
    'pi',
    '--image',
    DEMO_IMAGE,
    '--lock',
    project.file('images.lock.json'),
    '--userdata',
    `${url}/nothing`,
  )
  assert.match(missing.stderr, /there is nothing at/)
})

test("user-data stands in place of the image's, and the flags are merged over it", async (t) => {
  const project = bareFolder(t)
  writeFileSync(
    project.file('my-user-data'),
    '#cloud-config\nhostname: from-file\npreserve_hostname: true\ntimezone: Europe/Amsterdam\nruncmd:\n  - first\n',
  )
  writeFileSync(project.file('my-meta-data'), 'local-hostname: from-file\ninstance-id: mine\n')
  writeFileSync(project.file('my-config.txt'), '# mine\nhdmi_safe=1\n')
  const files = await flashOne(
    project,
    ...['--hostname', 'pi', '--userdata', 'my-user-data', '--metadata', 'my-meta-data'],
    ...['--bootconf', 'my-config.txt', '--file', 'my-config.txt:copy.txt'],
  )
  const settings = userData(files)
  assert.equal(settings.hostname, 'pi')
  assert.equal(settings.timezone, 'Europe/Amsterdam')
  assert.ok(ownCommands(files).includes('first\n'))
  const meta = parse(files.get('meta-data') ?? '')
  assert.equal(meta['local-hostname'], 'from-file')
  assert.match(meta['instance-id'], /^piimage-pi-/)
  assert.match(files.get('config.txt') ?? '', /^# mine\nhdmi_safe=1\n/)
  assert.equal(files.get('copy.txt'), '# mine\nhdmi_safe=1\n')
})

test('the same files over the node of a cluster file', async (t) => {
  const project = demoProject(t)
  writeFileSync(project.file('extra'), '#cloud-config\nruncmd:\n  - extra\n')
  const said = await project.piimage('flash', '--node', 'oneil=card.img', '--userdata', 'extra')
  assert.equal(said.status, 0, said.stderr)
  assert.ok(ownCommands(await bootFiles(project.file('card.img'))).includes('extra\n'))
})

test('a card that is there gets a name without a cluster file and without an image', async (t) => {
  const project = bareFolder(t)
  assert.equal(run('sh', ['-c', 'xz -dc demo.img.xz >card.img'], { cwd: project.folder }).status, 0)
  const said = await project.piimage('customise', 'card.img', '--hostname', 'pi')
  assert.equal(said.status, 0, said.stderr)
  assert.equal(userData(await bootFiles(project.file('card.img'))).hostname, 'pi')
})

test('values are never expanded, run or taken for a pattern', async (t) => {
  const openssl = needTool(t, 'openssl', 'openssl')
  if (openssl === undefined) return
  const project = bareFolder(t)
  const ssid = 'a/b&c $HOME `touch ran` \\1'
  const phrase = 'pa$HOME`touch ran`/&\\1'
  writeFileSync(project.file('phrase'), `${phrase}\n`, { mode: 0o600 })
  const files = await flashOne(
    project,
    ...['--hostname', 'pi', '--wifi-country', 'NL', '--wifi-passphrase-file', 'phrase', '--ssid', ssid],
  )
  const { network } = parse(files.get('network-config') ?? '', { version: '1.1' })
  const points = Object.entries(network.wifis.wlan0['access-points']) as [string, { password: string }][]
  const kdf = ['-kdfopt', `pass:${phrase}`, '-kdfopt', `salt:${ssid}`, '-kdfopt', 'iter:4096']
  const judged = run(openssl, ['kdf', '-keylen', '32', '-kdfopt', 'digest:SHA1', ...kdf, 'PBKDF2'])
  const expected = judged.stdout.replace(/[:\s]/g, '').toLowerCase()
  assert.deepEqual(
    points.map(([name, { password }]) => [name, password]),
    [[ssid, expected]],
  )
  assert.ok(!existsSync(project.file('ran')) && !existsSync('ran'))
})

for (const [name, args, says] of [
  ['a host name that is none', ['--hostname', 'my/pi&co'], /my\/pi&co/],
  ['a second host name', ['--hostname', 'a', '--hostname', 'b'], /--hostname is given 2 times/],
  ['no host name', ['--user', 'me'], /needs a host name/],
  [
    'user-data that is no cloud-config',
    ['--hostname', 'pi', '--userdata', 'script'],
    /is a script, and a node's settings can only be merged into #cloud-config/,
  ],
  ['user-data with a mistake', ['--hostname', 'pi', '--userdata', 'broken'], /broken/],
  ['a file that is not there', ['--hostname', 'pi', '--file', 'nothing'], /nothing is not there/],
  [
    'a file over one of ours',
    ['--hostname', 'pi', '--file', 'script:user-data'],
    /not an overlay's to replace|user-data/,
  ],
  ['a file outside the partition', ['--hostname', 'pi', '--file', 'script:../x'], /without ".."/],
  ['an unknown key', ['--hostname', 'pi', '--ssh-key', 'ssh-ed25519 AAAA', '--user', 'me'], /key/],
  ['a key and no account', ['--hostname', 'pi', '--ssh-key', 'x.pub'], /--user NAME/],
  ['an address on S3', ['--hostname', 'pi', '--image', 's3://b/i.img'], /s3: addresses are not understood/],
] as const) {
  test(`refused with a status and a hint, nothing written: ${name}`, async (t) => {
    const project = bareFolder(t)
    writeFileSync(project.file('script'), '#!/bin/sh\n')
    writeFileSync(project.file('broken'), '#cloud-config\na: [1\n')
    const image = (args as readonly string[]).includes('--image') ? [] : ['--image', DEMO_IMAGE]
    const said = await project.piimage(
      'flash',
      'card.img',
      ...image,
      '--lock',
      project.file('images.lock.json'),
      ...args,
    )
    assert.ok(said.status === 2 || said.status === 4, `${said.status} ${said.stderr}`)
    assert.match(said.stderr, says)
    assert.ok(!existsSync(project.file('card.img')))
  })
}

for (const [word, source, path] of [
  ['a.txt', 'a.txt', 'a.txt'],
  ['dir/a.txt', 'dir/a.txt', 'a.txt'],
  ['a.txt:b/c.txt', 'a.txt', 'b/c.txt'],
  ['http://h:80/a.txt', 'http://h:80/a.txt', 'a.txt'],
  ['https://h/a.txt?x=1', 'https://h/a.txt?x=1', 'a.txt'],
  ['https://h:8080/a.txt:b', 'https://h:8080/a.txt', 'b'],
] as const) {
  test(`--file ${word}`, () => assert.deepEqual(splitFile(word, '/nowhere'), { source, path }))
}
