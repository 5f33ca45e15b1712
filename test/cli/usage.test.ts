/** Command lines that can't be: one sentence with the flag in it, one hint, status 2. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'

const cases: [words: string[], says: RegExp][] = [
  [['bake', '--shard', '1/2'], /--shard needs --all\n {2}piimage bake --help/],
  [['bake', '--all', '--node', 'a'], /--all and --node exclude each other/],
  [['customise'], /customise: an argument is missing\n {2}piimage customise --help/],
  [['customise', 'a.img'], /which node\?\n.*--node NAME.*--hostname NAME/],
  [['flash'], /which node\?\n.*--node NAME.*--image IMAGE --hostname NAME/],
  [['flash', 'a.img', 'b.img', '--hostname', 'x'], /goes on one drive, not 2/],
  [['plan', '--cluster', 'a', '--cluster', 'b'], /--cluster is given 2 times/],
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
