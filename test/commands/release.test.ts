/** Images for everybody: nothing of a person's in them, the workflow's own steps, and the nodes in shares. */
import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import { features } from '../../src/features/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { parseShard, shareOf } from '../../src/work/bake.ts'
import { standIn } from '../../src/work/release.ts'
import { templateNames } from '../../src/work/template.ts'
import { bootFiles } from '../support/boot-files.ts'
import { findIn, HASH, PSK, personalProject, SSH_KEY, secretsOf } from '../support/personal-project.ts'
import { demoProject, type Project } from '../support/project.ts'
import { needTool, run } from '../support/tools.ts'

test('bake --release: no secret of the cluster, no key of the person, in any file it makes', async (t) => {
  const project = personalProject(t)
  const secrets = await secretsOf(project)
  const own = await project.piimage('bake', '--all', '--output', project.file('own'))
  assert.equal(own.status, 0, own.stderr)
  // The search finds them where they are.
  const mine = findIn(readFileSync(project.file('own/oneil.img')), secrets)
  for (const secret of [HASH, PSK, SSH_KEY]) assert.ok(mine.includes(secret), secret)
  assert.ok(mine.length > 4, 'host keys too')

  const said = await project.piimage('bake', '--release', '--all', '--output', project.file('out'), '--json')
  assert.equal(said.status, 0, said.stderr)
  const files = readdirSync(project.file('out'))
  assert.deepEqual(files.filter((name) => name.startsWith('demo-oneil')).sort(), [
    'demo-oneil.bmap',
    'demo-oneil.cdx.json',
    'demo-oneil.img',
    'demo-oneil.img.sha256',
  ])
  for (const name of files)
    assert.deepEqual(findIn(readFileSync(project.file(`out/${name}`)), secrets), [], name)
  assert.deepEqual(findIn(Buffer.from(said.stdout + said.stderr), secrets), [])

  const list = JSON.parse(readFileSync(project.file('out/os_list.json'), 'utf8'))
  assert.deepEqual(
    list.os_list.map(({ name }: { name: string }) => name),
    ['demo hammond', 'demo oneil', 'demo carter'],
  )
  for (const { init_format } of list.os_list) assert.equal(init_format, 'cloudinit-rpi')
  const warnings = said.events
    .filter(({ event }) => event === 'warning')
    .map(({ message }) => String(message))
  assert.deepEqual(
    warnings.filter((message) => message.includes('log in')),
    [
      `nobody can log in to hammond, oneil, carter yet: set user, key and Wi-Fi in Raspberry Pi Imager (rpi-imager --repo ${project.file('out/os_list.json')}) or with piimage customise; otherwise the system asks for it at its first boot, on its screen`,
    ],
  )
  // A person's own image: Imager has nothing to set in it.
  const ours = JSON.parse(readFileSync(project.file('own/os_list.json'), 'utf8'))
  for (const { init_format } of ours.os_list) assert.equal(init_format, 'none')
  const sbom = JSON.parse(readFileSync(project.file('out/demo-oneil.cdx.json'), 'utf8'))
  const image = list.os_list[1]
  assert.equal(sbom.bomFormat, 'CycloneDX')
  assert.deepEqual(sbom.metadata.component.hashes, [{ alg: 'SHA-256', content: image.image_download_sha256 }])
  assert.match(JSON.stringify(sbom.components), /"overlay cgroups"/)
  const packages = sbom.metadata.tools.components.map(({ name }: { name: string }) => name)
  for (const name of ['piimage', 'yaml', 'yargs']) assert.ok(packages.includes(name), name)
  assert.ok(!packages.includes('typescript'), 'what only builds piimage is not part of it')
})

test("bake --release needs no cluster.key and no file of a person's, and gives the same bytes with any", async (t) => {
  const project = demoProject(t)
  const bake = async (folder: string): Promise<Buffer> => {
    const said = await project.piimage('bake', '--release', '--node', 'oneil', '-o', project.file(folder))
    assert.equal(said.status, 0, said.stderr)
    return readFileSync(project.file(`${folder}/demo-oneil.img`))
  }
  const cluster = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(
    project.file('cluster.yaml'),
    cluster.replace(/ {4}- ssh-ed25519 .*/, '    - ~/.ssh/nobody-has-this.pub'),
  )
  const withKey = await bake('one')
  rmSync(project.file('cluster.key'))
  assert.ok((await bake('two')).equals(withKey))
})

test('a released image customised is the card that flash makes', async (t) => {
  const project = personalProject(t)
  const baked = await project.piimage('bake', '--release', '--node', 'oneil', '-o', project.folder)
  assert.equal(baked.status, 0, baked.stderr)
  assert.equal((await project.piimage('customise', 'demo-oneil.img', '--node', 'oneil')).status, 0)
  assert.equal((await project.piimage('flash', '--node', 'oneil=oneil.img')).status, 0)
  assert.deepEqual(
    await bootFiles(project.file('demo-oneil.img')),
    await bootFiles(project.file('oneil.img')),
  )
})

test('a node with another secret is left out of --all, and refused by name', async (t) => {
  const project = demoProject(t)
  const text = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(
    project.file('cluster.yaml'),
    text.replace(
      'carter: { ',
      `carter: { overlays: [ { cloud-init: { user-data: { chpasswd: { users: [ { name: a, password: "hunter2222" } ] } } } } ], `,
    ),
  )
  const one = await project.piimage('bake', '--release', '--node', 'carter', '-o', project.file('out'))
  assert.equal(one.status, 2, one.stderr)
  assert.match(one.stderr, /node carter is not for release: a secret is in .*vendor-data/)
  assert.doesNotMatch(one.stderr, /hunter2222/)
  const all = await project.piimage('bake', '--release', '--all', '-o', project.file('out'), '--json')
  assert.equal(all.status, 0, all.stderr)
  assert.deepEqual(all.events.at(-1)?.skipped, ['carter'])
  assert.ok(!readdirSync(project.file('out')).some((name) => name.includes('carter')))
})

/** `piimage` on the PATH of a shell, and the environment for it. */
function shellEnvironment(project: Project): Record<string, string> {
  mkdirSync(project.file('bin'))
  const cli = join(packageRoot(), 'build/src/cli.js')
  writeFileSync(project.file('bin/piimage'), `#!/bin/sh\nexec '${process.execPath}' '${cli}' "$@"\n`)
  chmodSync(project.file('bin/piimage'), 0o755)
  return { PATH: `${project.file('bin')}:${process.env.PATH}`, PIIMAGE_CACHE: project.file('cache') }
}

interface Workflow {
  jobs: Record<string, { env?: Record<string, string>; steps: { name?: string; run?: string }[] }>
}

test("the release workflow's own steps, on the demo", (t) => {
  if (needTool(t, 'xz', 'xz-utils') === undefined || needTool(t, 'bash', 'bash') === undefined) return
  const project = demoProject(t)
  const workflow = parse(
    readFileSync(join(packageRoot(), '.github/workflows/release.yml'), 'utf8'),
  ) as Workflow
  const job = workflow.jobs.images
  assert.ok(job !== undefined)
  const env = {
    ...shellEnvironment(project),
    PIIMAGE: 'piimage',
    OUT: project.file('out'),
    CLUSTERS: `examples/demo/cluster.yaml ${project.file('cluster.yaml')}`,
    SKIP: job.env?.SKIP ?? '',
    URL: 'https://example.org/releases/v1',
  }
  for (const name of ['Bake', 'Check']) {
    const step = job.steps.find((candidate) => candidate.name === name)?.run
    assert.ok(step !== undefined, name)
    // As the runner starts it.
    const ran = run('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step], {
      cwd: packageRoot(),
      env,
    })
    assert.equal(ran.status, 0, ran.stderr)
  }
  const list = JSON.parse(readFileSync(project.file('out/os_list.json'), 'utf8'))
  assert.equal(list.os_list.length, 3)
  assert.equal(list.os_list[0].url, 'https://example.org/releases/v1/demo-hammond.img.xz')
  // What is attested and published is what was baked.
  const text = readFileSync(join(packageRoot(), '.github/workflows/release.yml'), 'utf8')
  assert.match(
    text,
    /attest-build-provenance@[0-9a-f]{40} # v[\d.]+\n {8}with:\n {10}subject-path: out\/\*\.img\.xz/,
  )
  assert.match(text, /id-token: write/)
})

test('every example that the release workflow bakes has its images pinned', async () => {
  const text = readFileSync(join(packageRoot(), '.github/workflows/release.yml'), 'utf8')
  const skipped = (parse(text) as Workflow).jobs.images?.env?.SKIP?.split(' ') ?? []
  const { images } = JSON.parse(readFileSync(join(packageRoot(), 'images.lock.json'), 'utf8'))
  const unpinned: string[] = []
  for (const name of templateNames()) {
    const file = `examples/${name}/cluster.yaml`
    const options = { features, home: '/', readLocal: standIn, imageKeys: Object.keys(images) }
    const mistakes = await readCluster(join(packageRoot(), file), options).then(
      () => '',
      (error: Error) => error.message,
    )
    if (/is not in the lock/.test(mistakes)) unpinned.push(file)
    else assert.ok(!skipped.includes(file) || name === 'demo', `${file} could be baked`)
  }
  assert.ok(unpinned.length > 0)
  for (const file of unpinned) assert.ok(skipped.includes(file), file)
})

test('shares: each node in exactly one, sizes that differ by one at most', () => {
  for (const count of [1, 2, 3, 7, 30]) {
    const items = Array.from({ length: 20 }, (_, at) => at)
    const shares = Array.from({ length: count }, (_, at) => shareOf(items, { index: at + 1, count }))
    assert.deepEqual(
      shares.flat().sort((a, b) => a - b),
      items,
    )
    const sizes = shares.map((share) => share.length)
    assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1)
  }
  for (const text of ['0/3', '4/3', '1', '1/0', '-1/3', '1/3/5', 'a/b', ''])
    assert.throws(() => parseShard(text))
})

/** The share's shell of each manifest, and what tells it which share it is. */
const engines = (scaleOut: (name: string) => string) => [
  {
    name: 'kubernetes-job.yaml',
    shell: () => parse(scaleOut('kubernetes-job.yaml')).spec.template.spec.containers[0].args[0] as string,
    share: (index: number) => ({ JOB_COMPLETION_INDEX: String(index - 1) }),
  },
  {
    name: 'swarm-job.sh',
    shell: () => /^task='([^']*)'/m.exec(scaleOut('swarm-job.sh'))?.[1] as string,
    share: (index: number) => ({ SHARD: String(index) }),
  },
]

for (const { name, shell, share } of engines((file) =>
  readFileSync(join(packageRoot(), 'examples/scale-out', file), 'utf8'),
)) {
  test(`${name}: two shares make every node once`, (t) => {
    if (needTool(t, 'xz', 'xz-utils') === undefined) return
    const project = demoProject(t)
    mkdirSync(project.file('config'))
    copyFileSync(project.file('cluster.yaml'), project.file('config/cluster.yaml'))
    copyFileSync(project.file('images.lock.json'), project.file('config/images.lock.json'))
    copyFileSync(project.file('demo.img.xz'), project.file('config/demo.img.xz'))
    const env = {
      ...shellEnvironment(project),
      CONFIG: project.file('config'),
      KEY: project.file('cluster.key'),
      DATA: project.file('data'),
      SHARDS: '2',
    }
    for (const index of [1, 2]) {
      const ran = run('sh', ['-euc', shell()], { env: { ...env, ...share(index) } })
      assert.equal(ran.status, 0, ran.stderr)
    }
    const made = readdirSync(project.file('data/out')).filter((file) => /\.img\.xz$|^os_list/.test(file))
    assert.deepEqual(made.sort(), [
      'carter.img.xz',
      'hammond.img.xz',
      'oneil.img.xz',
      'os_list.1-of-2.json',
      'os_list.2-of-2.json',
    ])
  })
}
