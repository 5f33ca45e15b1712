import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../../src/errors.ts'
import { adoptInto } from '../../src/rehearsal/adopt.ts'

const board = { mac: 'dc:a6:32:01:02:03', serial: '10000000' }
const MAC = 'mac: "dc:a6:32:01:02:03"'
const SERIAL = 'serial: "10000000"'

const cases: { name: string; before: string; after: string }[] = [
  {
    name: 'a map in braces',
    before: 'nodes:\n  oneil: { model: pi4, boot: net }   # the old one\n  carter: { model: pi4 }\n',
    after: `nodes:\n  oneil: { model: pi4, boot: net, ${MAC}, ${SERIAL} }   # the old one\n  carter: { model: pi4 }\n`,
  },
  {
    name: 'a map over lines, with comments all around',
    before:
      '# mine\nnodes:\n  oneil:   # attic\n    # which\n    model: pi4\n    boot: net\n  # next\n  carter: {}\n',
    after: `# mine\nnodes:\n  oneil:   # attic\n    # which\n    ${MAC}\n    ${SERIAL}\n    model: pi4\n    boot: net\n  # next\n  carter: {}\n`,
  },
  {
    name: 'values that are there',
    before: "nodes:\n  oneil:\n    mac: 'b8:27:eb:00:00:00' # wrong\n    model: pi4\n    serial: 00001234\n",
    after: `nodes:\n  oneil:\n    ${MAC} # wrong\n    model: pi4\n    ${SERIAL}\n`,
  },
  {
    name: 'one of the two',
    before: 'nodes: { oneil: { mac: "b8:27:eb:00:00:00" } }\n',
    after: `nodes: { oneil: { ${MAC}, ${SERIAL} } }\n`,
  },
  {
    name: 'an empty map',
    before: 'nodes:\n  oneil: {}\n',
    after: `nodes:\n  oneil: { ${MAC}, ${SERIAL} }\n`,
  },
  {
    name: 'no value',
    before: 'nodes:\n  oneil: # to come\n',
    after: `nodes:\n  oneil: { ${MAC}, ${SERIAL} } # to come\n`,
  },
  {
    name: 'braces over lines, a comma at the end',
    before: 'nodes:\n  oneil: {\n    model: pi4,\n  }\n',
    after: `nodes:\n  oneil: {\n    model: pi4, ${MAC}, ${SERIAL}\n  }\n`,
  },
  {
    name: 'lines that end as on Windows',
    before: 'nodes:\r\n  oneil:\r\n    model: pi4\r\n',
    after: `nodes:\r\n  oneil:\r\n    ${MAC}\r\n    ${SERIAL}\r\n    model: pi4\r\n`,
  },
]

for (const { name, before, after } of cases)
  test(`adopt: ${name}`, async () => {
    assert.equal(await adoptInto(before, 'cluster.yaml', 'oneil', board), after)
    assert.equal(
      await adoptInto(after, 'cluster.yaml', 'oneil', board),
      after,
      'a second time changes nothing',
    )
  })

test('adopt refuses what it would spoil', async () => {
  for (const text of [
    'nodes: { carter: {} }',
    'nodes: [oneil]',
    'x: &a {}\nnodes: { oneil: *a }',
    'nodes: { oneil: pi4 }',
    'nodes: {',
  ])
    await assert.rejects(adoptInto(text, 'cluster.yaml', 'oneil', board), UsageError, text)
})
