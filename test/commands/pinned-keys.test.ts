/** Keys of an account, fetched once from a server that answers as GitHub does. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import { UsageError } from '../../src/errors.ts'
import { features } from '../../src/features/index.ts'
import { openHttp } from '../../src/fetch/http.ts'
import { openPublisherHttp } from '../../src/fetch/publisher-http.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import type { WorkEvent } from '../../src/work/events.ts'
import { pinKeys } from '../../src/work/pinned-keys.ts'
import { tempFolder } from '../support/temp.ts'

const [first, second] = [1, 2].map((seed) => makeEd25519Key(Buffer.alloc(32, seed), 'x')) as [
  ReturnType<typeof makeEd25519Key>,
  ReturnType<typeof makeEd25519Key>,
]
const bare = (line: string) => line.split(' ').slice(0, 2).join(' ')

/** @param accounts name → what its .keys say, and may say otherwise later */
async function openGithub(t: TestContext, accounts: Record<string, string>) {
  const asked: string[] = []
  const server = createServer((request, answer) => {
    asked.push(request.url ?? '')
    const text = accounts[/^\/(.*)\.keys$/.exec(request.url ?? '')?.[1] ?? '']
    answer.writeHead(text === undefined ? 404 : 200).end(text ?? 'Not Found')
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  const folder = tempFolder(t)
  const path = join(folder, 'cluster.yaml')
  writeFileSync(
    path,
    'cluster: sgc\nimage: demo-trixie-arm64-lite@2025-12-05\nuser: { name: ops, sshKeys: [gh:Octocat] }\nnodes: { a: { model: pi4 } }\n',
  )
  const events: WorkEvent[] = []
  const task = { report: () => {}, signal: new AbortController().signal }
  const http = openPublisherHttp(undefined as never, { http: openHttp({ env: {} }), offline: false }, task)
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const read = () =>
    readCluster(path, {
      features,
      home: folder,
      pinKeys: (names, at) => pinKeys(names, at, http, { onEvent: (event) => events.push(event) }, base),
    })
  return { folder, asked, events, read }
}

test('the keys of an account are fetched once, shown, and then what the file says', async (t) => {
  const accounts = { octocat: `${bare(first.publicLine)}\n` }
  const { folder, asked, events, read } = await openGithub(t, accounts)
  const keysOf = async () => (await read()).nodes[0]?.user?.sshKeys
  assert.deepEqual(await keysOf(), [`${bare(first.publicLine)} github:octocat`])
  assert.match(JSON.stringify(events), new RegExp(first.fingerprint.replaceAll(/[+/]/g, '\\$&')))
  assert.match(
    readFileSync(join(folder, 'ssh-keys/github-octocat.keys'), 'utf8'),
    /^# Keys of github:octocat\./,
  )

  // Whoever takes the account over changes nothing here.
  accounts.octocat = `${bare(second.publicLine)}\n`
  assert.deepEqual(await keysOf(), [`${bare(first.publicLine)} github:octocat`])
  assert.deepEqual(asked, ['/octocat.keys'])
})

test('options and comments that a server puts before a key are not taken', async (t) => {
  const { read } = await openGithub(t, { octocat: `command="sh" ${bare(first.publicLine)} evil\n` })
  assert.deepEqual((await read()).nodes[0]?.user?.sshKeys, [`${bare(first.publicLine)} github:octocat`])
})

for (const [name, accounts, about] of [
  ['no such account', {}, /GitHub has no account octocat/],
  ['an account without keys', { octocat: '' }, /the account octocat at GitHub has no key/],
  ['a page in place of keys', { octocat: '<html>\n' }, /has no key/],
] as const)
  test(`${name}: nothing is pinned`, async (t) => {
    const { read } = await openGithub(t, accounts)
    await assert.rejects(read(), (error: unknown) => error instanceof UsageError && about.test(error.message))
  })
