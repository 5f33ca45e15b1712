import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import { MistakesError, UsageError } from '../../src/errors.ts'
import { features } from '../../src/features/index.ts'
import { createClusterKey } from '../../src/secrets/cluster-key.ts'
import { tempFolder } from '../support/temp.ts'
import { publicLine, readStory } from './support.ts'

test('readCluster: the file and what lies beside it', async (t) => {
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'keys'))
  writeFileSync(join(folder, 'keys', 'id_ed25519.pub'), publicLine)
  writeFileSync(join(folder, 'pi.password'), 'raspberry\n', { mode: 0o600 })
  const path = join(folder, 'cluster.yaml')
  writeFileSync(path, `\ufeff${readStory('chappa-ai').replaceAll('\n', '\r\n')}`)

  await assert.rejects(readCluster(path, { features }), (error: unknown) => {
    assert.ok(error instanceof MistakesError)
    assert.equal(error.exitCode, 2)
    assert.match(
      error.message,
      /^.*cluster\.yaml:4:65: there is no cluster key at .*cluster\.key \(Make one with piimage init/,
    )
    return true
  })
  await createClusterKey(join(folder, 'cluster.key'))
  const cluster = await readCluster(path, { features })
  assert.equal(cluster.folder, folder)
  assert.equal(cluster.file, path)
  assert.deepEqual(cluster.nodes[0]?.user?.sshKeys, [publicLine])

  chmodSync(join(folder, 'pi.password'), 0o640)
  await assert.rejects(
    readCluster(path, { features }),
    /4:65: "pi.password" holds a secret and can be read by others \(mode 0640\)/,
  )
})

test('readCluster: missing, a folder, no UTF-8', async (t) => {
  const folder = tempFolder(t)
  const path = join(folder, 'cluster.yaml')
  await assert.rejects(readCluster(path, { features }), UsageError)
  await assert.rejects(readCluster(folder, { features }), UsageError)
  writeFileSync(path, Buffer.from([0x63, 0x3a, 0xff, 0xfe]))
  await assert.rejects(readCluster(path, { features }), /is not UTF-8 text/)
})
