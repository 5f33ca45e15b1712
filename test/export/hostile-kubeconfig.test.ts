/** A head that was taken over has no way to the computer of whoever asks it for a kubeconfig. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { FormatError } from '../../src/errors.ts'
import { formatKubeconfig } from '../../src/export/kubeconfig.ts'
import { parseRight, readStory } from '../cluster/support.ts'

const config = (endpoint: object, user: object): string =>
  stringify({
    clusters: [{ name: 'k', cluster: { server: 'https://10.0.0.1:6443', ...endpoint } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    'current-context': 'c',
  })

const right = { 'client-certificate-data': 'AA==', 'client-key-data': 'AA==' }

test('what would run a program, or lead kubectl elsewhere, is refused by name', async () => {
  const cluster = await parseRight(readStory('chappa-ai'))
  const made = (text: string) => formatKubeconfig(text, 'admin.conf', cluster, { host: '10.0.0.1' })
  assert.match(made(config({ 'certificate-authority-data': 'AA==' }, right)), /client-key-data: AA==/)
  const hostile: [endpoint: object, user: object, names: RegExp][] = [
    [{}, { exec: { command: '/bin/sh', args: ['-c', 'id'] } }, /"exec"/],
    [{}, { ...right, 'auth-provider': { name: 'x' } }, /"auth-provider"/],
    [{}, { tokenFile: '/home/me/.ssh/id_ed25519' }, /"tokenFile"/],
    [{}, { ...right, 'client-key': '/home/me/key' }, /"client-key"/],
    [{ 'proxy-url': 'http://evil' }, right, /"proxy-url"/],
    [{ 'insecure-skip-tls-verify': true }, right, /"insecure-skip-tls-verify"/],
    [{ 'certificate-authority': '/etc/shadow' }, right, /"certificate-authority"/],
    [{ server: ['https://10.0.0.1:6443'] }, right, /names no server|"server"/],
  ]
  for (const [endpoint, user, names] of hostile)
    assert.throws(
      () => made(config(endpoint, user)),
      (error) => error instanceof FormatError && names.test(error.message),
    )
})
