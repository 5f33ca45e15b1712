/** What ssh itself makes of the words it is given: `ssh -G` prints what would count. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openNodeSsh } from '../../src/work/node-ssh.ts'
import { keys, makeCluster, makeNode } from '../customise/cluster.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool } from '../support/tools.ts'

test('a silent node is given up, and nothing is asked of anybody', async (t) => {
  const ssh = needTool(t, 'ssh', 'openssh-client')
  if (ssh === undefined) return
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'ssh'), `#!/bin/sh\nexec ${ssh} -G "$@"\n`)
  chmodSync(join(folder, 'ssh'), 0o755)
  const { PATH } = process.env
  process.env.PATH = `${folder}:${PATH}`
  t.after(() => {
    process.env.PATH = PATH
  })
  const node = makeNode()
  const { signal } = new AbortController()
  const nodes = await openNodeSsh(
    makeCluster([node]),
    keys,
    {},
    { cwd: folder, env: { HOME: folder }, signal },
  )
  t.after(() => nodes.close())
  const { status, stdout, stderr } = await nodes.run(node.name, 'true')
  assert.equal(status, 0, stderr)
  const settings = new Map(
    stdout.split('\n').map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
  )
  const expected = {
    batchmode: 'yes',
    connecttimeout: '10',
    serveraliveinterval: '15',
    serveralivecountmax: '4',
    stricthostkeychecking: 'true',
  }
  assert.deepEqual(
    Object.fromEntries(Object.keys(expected).map((name) => [name, settings.get(name)])),
    expected,
  )
})
