/**
 * The long run: `node build/test/fuzz/run.js [--executions N] [--seed N] [--only NAME]…`
 *
 * Prints one row per parser. What it finds is kept in test/fuzz/findings/NAME/;
 * fuzz.test.ts runs those for ever after. Exit status 1 when something was found.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../../src/package-root.ts'
import type { Finding } from './campaign.ts'
import { targets } from './targets.ts'
import { watchCampaigns } from './watch.ts'

const { values } = parseArgs({
  options: {
    executions: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
  },
})

const print = (line: string): unknown => process.stdout.write(`${line}\n`)
const warn = (line: string): unknown => process.stderr.write(`${line}\n`)

const wanted = targets.filter(({ name }) => values.only === undefined || values.only.includes(name))
print('| parser | executions | corpus | branches reached | accepted | findings | seconds |')
print('| --- | --: | --: | --: | --: | --: | --: |')
const request = { executions: Number(values.executions), seed: Number(values.seed) }
for (const { name } of wanted) {
  const begun = process.hrtime.bigint()
  await watchCampaigns([name], request, ({ result }) => {
    const { executions, corpus, covered, accepted, findings } = result
    const seconds = Number((process.hrtime.bigint() - begun) / 1_000_000_000n)
    print(
      `| ${name} | ${executions} | ${corpus} | ${covered} | ${accepted} | ${findings.length} | ${seconds} |`,
    )
    for (const finding of findings) keep(name, finding)
  })
}

function keep(name: string, { input, what }: Finding): void {
  const folder = join(packageRoot(), 'test/fuzz/findings', name)
  mkdirSync(folder, { recursive: true })
  const path = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16))
  writeFileSync(path, input)
  warn(`${path}\n${what}\n`)
  process.exitCode = 1
}
