/** What is odd in a cluster file, and may be meant: plan says it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { DEMO_IMAGE, demoProject } from '../support/project.ts'

test('plan warns of a fixed address without a way out, at its place; the first ten of many', async (t) => {
  const project = demoProject(t)
  const withNodes = (count: number) =>
    writeFileSync(
      project.file('cluster.yaml'),
      `cluster: demo
image: ${DEMO_IMAGE}
network: { cidr: 192.168.2.0/24, dns: [192.168.2.1] }
nodes:
${Array.from({ length: count }, (_, index) => `  pi${index}: { model: pi4, address: 192.168.2.${index + 10}/24 }\n`).join('')}`,
    )
  withNodes(1)
  const one = await project.piimage('plan', '--node', 'pi0')
  assert.equal(one.status, 0, one.stderr)
  assert.match(
    one.stderr,
    /^warning: \S*cluster\.yaml:5:\d+: pi0 has a fixed address and no gateway: .* \(say which router leads out/m,
  )
  withNodes(12)
  const many = await project.piimage('plan', '--node', 'pi0')
  assert.equal(many.stderr.match(/^warning: \S*cluster\.yaml:/gm)?.length, 10)
  assert.match(many.stderr, /^warning: and \d more of the kind in the cluster file$/m)
})
