/**
 * A short run of the fuzzer over every parser, the same each time, and every
 * input that ever was a finding. The long run is `node build/test/fuzz/run.js`.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { figure } from '../support/figures.ts'
import { tryInput } from './campaign.ts'
import { targets } from './targets.ts'
import { type Report, watchCampaigns } from './watch.ts'

const EXECUTIONS = 1500
const findings = join(packageRoot(), 'test/fuzz/findings')

test('of the inputs that it starts from, each parser accepts some', async () => {
  for (const target of targets) {
    const problems: (string | undefined)[] = []
    for (const seed of await target.seeds()) problems.push(await tryInput(target, seed))
    assert.ok(problems.includes(undefined), `${target.name}: ${problems}`)
    assert.deepEqual(
      problems.filter((problem) => problem !== undefined && problem !== ''),
      [],
    )
  }
})

test('changed inputs are accepted or refused in words', async (t) => {
  const names = targets.map(({ name }) => name)
  const reports: Report[] = []
  await watchCampaigns(names, { executions: EXECUTIONS, seed: 1 }, (report) => reports.push(report))
  for (const { name, result } of reports) {
    const problems = result.findings.map(({ input, what }) => ({
      what,
      input: Buffer.from(input).toString('base64'),
    }))
    assert.deepEqual(problems, [], name)
    assert.equal(result.executions, EXECUTIONS, name)
    assert.ok(result.covered > 20, `${name}: nothing was counted`)
  }
  assert.deepEqual(
    reports.map(({ name }) => name),
    names,
  )
  figure(t, 'parsers', names.length)
  figure(
    t,
    'fuzzed inputs',
    reports.reduce((sum, { result }) => sum + result.executions, 0),
  )
})

test('what once was a finding is none', async () => {
  for (const name of readdirSync(findings)) {
    const target = targets.find((one) => one.name === name)
    assert.ok(target, `findings of ${name}, which is no target`)
    for (const file of readdirSync(join(findings, name))) {
      const problem = await tryInput(target, readFileSync(join(findings, name, file)))
      assert.ok(problem === undefined || problem === '', `${name}/${file}: ${problem}`)
    }
  }
})
