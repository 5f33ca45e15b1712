/** The house stays as it is: what ./house-count.ts counts is held at its limits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { circles, figures, names, readHouse, readSource, upward } from './house-count.ts'

test('a thing is named in its own place, and nothing runs in circles', () => {
  const tooMany = figures(readHouse())
    .filter(({ count, limit }) => limit !== undefined && count > limit)
    .map(({ name, count, limit, of }) => `${name}: ${count}, at most ${limit}: ${of.join(' ')}`)
  assert.deepEqual(tooMany, [])
})

test('what is counted: words of code and texts, never comments', () => {
  const file = readSource(
    'a/b.ts',
    [
      "import { x } from '../c/d.ts' // k3s",
      '/* swarm and */ const joinK3sToken = `to the $' + '{portainerUrl({ a: 1 })} of docker-ce`',
      "const pattern = /it's kubeadm/",
    ].join('\n'),
  )
  const seen = ['k3s', 'swarm', 'portainer', 'docker', 'kubeadm', 'dock'].filter((name) => names(file, name))
  assert.deepEqual(seen, ['k3s', 'portainer', 'docker', 'kubeadm'])
  assert.deepEqual(file.imports, ['c/d.ts'])
})

test('circles and imports that run up are found', () => {
  const graph = (arrows: Record<string, string[]>) =>
    new Map(Object.entries(arrows).map(([from, to]) => [from, new Set(to)]))
  assert.deepEqual(circles(graph({ a: ['b'], b: ['c'], c: ['a'], d: ['a'] })), [['a', 'b', 'c']])
  assert.deepEqual(circles(graph({ a: ['b', 'c'], b: ['c'], c: [] })), [])
  const file = (path: string, ...imports: string[]) => ({ ...readSource(path, ''), imports })
  assert.deepEqual(
    upward([
      file('room/top.ts', 'room/below/x.ts', 'room/below/y.ts'),
      file('room/below/x.ts', 'room/top.ts'),
      file('room/below/y.ts'),
      file('other/z.ts', 'room/top.ts'),
    ]),
    ['room/below/x.ts → room/top.ts'],
  )
})
