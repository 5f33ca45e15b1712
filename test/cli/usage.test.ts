/** Command lines that can't be: one sentence with the flag in it, one hint, status 2. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'

const cases: [words: string[], says: RegExp][] = [
  [['bake', '--shard', '1/2'], /--shard needs --all\n {2}piimage bake --help/],
  [['bake', '--all', '--node', 'a'], /--all and --node exclude each other/],
  [['customise'], /customise: <path> is missing\n {2}piimage customise --help/],
  [['export', 'known_hosts'], /format: "known_hosts" is none of them; did you mean known-hosts\?\n/],
  [['images', 'lok'], /action: "lok" is none of them; did you mean lock\?\n/],
  [['export'], /export: <format> is missing\n/],
  [['plan', 'a', '--all'], /--all shows every node, and a is one\n/],
  [['plan', 'a', '--hostname', 'b'], /--hostname is for a node without a cluster file/],
  [['customise', 'a.img'], /which node\?\n.*--node NAME.*--hostname NAME/],
  [['flash'], /which node\?\n.*--node NAME.*--image IMAGE --hostname NAME/],
  [['flash', 'a.img', 'b.img', '--hostname', 'x'], /goes on one drive, not 2/],
  [['plan', '--cluster', 'a', '--cluster', 'b'], /--cluster is given 2 times/],
  [['plan', '--node'], /--node needs a value\n/],
  [['plan', '--cluster'], /--cluster needs a value\n/],
  [['plan', '--node='], /--node needs a value\n/],
  [['plan', '--node', '--quiet'], /--node needs a value\n/],
  [['flash', '--image'], /--image needs a value\n/],
  [['bake', '-o'], /-o needs a value\n/],
  [['images', 'lock', '--key'], /--key needs a value\n/],
  [['init', '--template'], /--template needs a value\n/],
  [['status', '--identity'], /--identity needs a value\n/],
  [['netroot', '--as'], /--as needs a value\n/],
  [['flash', '--node', 'a=a.img', '--retries', 'many'], /--retries needs a number, and many is not one\n/],
  [['bake', '--all', '--level=x'], /--level needs a number, and x is not one\n/],
  [['netroot', 'prune', '--keep', ''], /--keep needs a/],
  [['--cluster', 'plan', 'export', 'hosts'], /there is no cluster file plan\n/],
  [['plan', '--node', 'a', '--hostname', 'b'], /--hostname is for a node without a cluster file/],
]

for (const [words, says] of cases) {
  test(`piimage ${words.join(' ')}`, async (t) => {
    const said = await runPiimage(tempFolder(t), words)
    assert.equal(said.status, 2, said.stderr)
    assert.match(said.stderr, says)
    assert.equal(said.stderr.trim().split('\n').length, 2)
  })
}

for (const [words, same] of [
  [['-h'], ['--help']],
  [['help'], ['--help']],
  [
    ['flash', '-h'],
    ['flash', '--help'],
  ],
  [
    ['help', 'flash'],
    ['flash', '--help'],
  ],
  [['-v'], ['--version']],
  [['version'], ['--version']],
] as const) {
  test(`piimage ${words.join(' ')} is piimage ${same.join(' ')}`, async (t) => {
    const folder = tempFolder(t)
    const [one, other] = [await runPiimage(folder, [...words]), await runPiimage(folder, [...same])]
    assert.deepEqual([one.status, one.stdout], [0, other.stdout])
  })
}
