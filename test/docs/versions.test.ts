/** The page of versions says what the overlays and steps take; nothing changes there without it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readOverlays } from '../../src/customise/overlay.ts'
import { packageRoot } from '../../src/package-root.ts'

const read = (path: string) => readFileSync(join(packageRoot(), path), 'utf8')

/** First word of the second column, by the first one's text. */
const rows = new Map(
  [...read('docs/versions.md').matchAll(/^\| (\w+) \| ([^|]*) \|/gm)].map(([, part = '', by = '']) => [
    part,
    by,
  ]),
)

test('the page of versions has the defaults of the overlays and the pins of the steps', async () => {
  const overlays = await readOverlays([join(packageRoot(), 'overlays')])
  const defaultOf = (overlay: string, name: string) => overlays.get(overlay)?.parameters[name]?.default
  assert.equal(rows.get('Portainer'), defaultOf('portainer', 'tag'))
  for (const [part, overlay, name] of [
    ['k3s', 'k3s', 'version'],
    ['kubeadm', 'kubeadm', 'minor'],
  ] as const) {
    assert.equal(defaultOf(overlay, name), null)
    assert.match(rows.get(part) ?? '', new RegExp(`^none: \`${name}\``))
  }
  const pins = [...read('firstboot/steps/docker.sh').matchAll(/^Pin: version (?:5:)?([0-9.]+)\*$/gm)]
  const [containerd, docker] = pins.map(([, version]) => version)
  assert.ok(rows.get('Docker')?.includes(`on ARMv6 ${docker} with containerd ${containerd}`))
})
