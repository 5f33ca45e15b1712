import assert from 'node:assert/strict'
import { hkdfSync } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { UsageError } from '../../src/errors.ts'
import { k3sToken } from '../../src/features/k3s/feature.ts'
import { kubeadmToken } from '../../src/features/kubeadm/feature.ts'
import { portainerPassword } from '../../src/features/portainer/feature.ts'
import { joinKey } from '../../src/features/swarm/artifacts.ts'
import { createClusterKey, parseClusterKey, readClusterKey } from '../../src/secrets/cluster-key.ts'
import { derive } from '../../src/secrets/derive.ts'
import { machineId, sshHostKey } from '../../src/secrets/identity.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'
import { allPurposes } from '../support/purposes.ts'
import { tempFolder } from '../support/temp.ts'
import { testKey } from './support.ts'

test('cluster key: made once, read back, for its owner only', async (t) => {
  const path = join(tempFolder(t), 'cluster.key')
  const before = process.umask(0)
  t.after(() => process.umask(before))
  const key = await createClusterKey(path)
  assert.equal(statSync(path).mode % 0o1000, 0o600)
  assert.deepEqual((await readClusterKey(path)).reveal(), key.reveal())
  await assert.rejects(createClusterKey(path), /exists already and is not overwritten/)
  assert.deepEqual((await readClusterKey(path)).reveal(), key.reveal())
  assert.notDeepEqual((await createClusterKey(`${path}2`)).reveal(), key.reveal())
})

test('cluster key: refused when others may read it', async (t) => {
  const path = join(tempFolder(t), 'cluster.key')
  await createClusterKey(path)
  for (const mode of [0o640, 0o604, 0o620, 0o601]) {
    chmodSync(path, mode)
    await assert.rejects(readClusterKey(path), (error: UsageError) => {
      assert.match(error.message, new RegExp(`mode 0${mode.toString(8)}`))
      assert.equal(error.hint, `Run: chmod 600 ${path}`)
      return true
    })
  }
  chmodSync(path, 0o400)
  await readClusterKey(path)
})

test('cluster key: missing', async (t) => {
  await assert.rejects(readClusterKey(join(tempFolder(t), 'cluster.key')), /there is no cluster key at/)
})

test('cluster key: hex or base64, comments and line ends of any kind', () => {
  const hex = Buffer.from(testKey.reveal()).toString('hex')
  const base64 = Buffer.from(testKey.reveal()).toString('base64')
  for (const text of [hex, `# c\r\n${hex.toUpperCase()}\r\n`, `\ufeff\n ${base64} \n`])
    assert.deepEqual(parseClusterKey(text, 'k').reveal(), testKey.reveal())
})

test('cluster key: anything else is refused, and never shown', () => {
  const secret = 'deadbeef'
  for (const text of [
    '',
    '# only\n',
    secret,
    `${secret.repeat(8)}0`,
    `${secret.repeat(8)}\n${secret.repeat(8)}`,
    'é'.repeat(64),
  ])
    assert.throws(
      () => parseClusterKey(text, 'k'),
      (error: unknown) => {
        assert.ok(error instanceof UsageError)
        assert.ok(!error.message.includes(secret))
        return true
      },
    )
})

test('cluster key: prints as nothing', () => {
  for (const text of [
    `${testKey}`,
    JSON.stringify({ testKey }),
    inspect(testKey, { showHidden: true, depth: 9 }),
  ])
    assert.ok(!/000102|[,[] ?0,? 1/.test(text), text)
})

test('derive: HKDF-SHA256 with the documented info, so that it can be done by hand', () => {
  const byHand = hkdfSync('sha256', testKey.reveal(), '', 'piimage/v1/machine-id/oneil', 16)
  assert.deepEqual(derive(testKey, 'machine-id', 'oneil', 16), Buffer.from(byHand))
})

test('derived values: frozen, because changing one changes every cluster', () => {
  assert.equal(machineId(testKey, 'oneil'), '702c1de6cd064cf38b870323fb08bbe9')
  assert.equal(sshHostKey(testKey, 'oneil').fingerprint, 'SHA256:WNgcJ+u8L7vM5P3F2TkvGj9ay+m0T8oKVTxIpsFAMLc')
  assert.equal(
    joinKey(nodeKeys(testKey), 'oneil').fingerprint,
    'SHA256:CdUleYRNwoFq0LtU3r58FoIDhLh1diMX68T1gl9c+9M',
  )
  assert.equal(kubeadmToken(nodeKeys(testKey)).reveal(), 'm4uvsf.4v8x09emlmt3f8rg')
  assert.equal(portainerPassword(nodeKeys(testKey)).reveal(), 'SuhKS5Nrx4t7Tc6ksa4gZ8bs')
})

test('derived values: their formats', () => {
  assert.match(machineId(testKey, 'oneil'), /^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
  assert.match(kubeadmToken(nodeKeys(testKey)).reveal(), /^[a-z0-9]{6}\.[a-z0-9]{16}$/)
  assert.match(k3sToken(nodeKeys(testKey), 'k3s-token').reveal(), /^[0-9a-f]{64}$/)
})

test('derived values: every purpose and every node has its own', () => {
  const values = allPurposes.flatMap((purpose) =>
    ['', 'oneil', 'carter'].map((node) => derive(testKey, purpose, node, 32).toString('hex')),
  )
  assert.equal(new Set(values).size, values.length)
})

test('the written key file says what it is', async (t) => {
  const path = join(tempFolder(t), 'cluster.key')
  await createClusterKey(path)
  assert.match(
    readFileSync(path, 'utf8'),
    /^# piimage cluster key\..*\n# Keep it out of git.*\n[0-9a-f]{64}\n$/,
  )
  writeFileSync(path, 'rubbish')
  await assert.rejects(readClusterKey(path), /holds no key of 32 bytes/)
})
