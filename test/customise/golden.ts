/**
 * Golden folders: the whole set of files a plan changes, as text beside the
 * test. UPDATE=1 writes them anew, and the test fails in that run all the same,
 * so that nobody updates by accident.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { BootPlan } from '../../src/customise/plan-boot.ts'
import { RECEIPT_FILE } from '../../src/customise/receipt.ts'
import { packageRoot } from '../../src/package-root.ts'

const root = join(packageRoot(), 'test/customise/fixtures/golden')

/** Shipped scripts are named, not copied: they have tests of their own. */
function asGolden(plan: BootPlan): Map<string, string> {
  const golden = new Map<string, string>()
  const list: string[] = [
    `${plan.os.family} ${plan.os.release} ${plan.os.trigger} ${plan.os.bootMount}`,
    ...plan.os.evidence,
    ...plan.warnings,
    '',
  ]
  for (const { path, before, after } of plan.files) {
    const sign = after === null ? '-' : before === null ? '+' : '~'
    const shipped = after === null ? undefined : shippedName(path, after)
    list.push(`${sign} ${path}${shipped === undefined ? '' : ` = ${shipped}`}`)
    // The receipt has a digest of each of the others.
    if (after !== null && shipped === undefined && path !== RECEIPT_FILE)
      golden.set(path, withoutDigest(Buffer.from(after).toString('utf8')))
  }
  golden.set('FILES', `${list.join('\n')}\n`)
  return golden
}

/** The digest in the instance id changes with each line of the shipped scripts. */
export const withoutDigest = (text: string): string =>
  text.replaceAll(/(piimage-[a-z0-9-]+-)[0-9a-f]{12}\b/g, '$1<digest>')

function shippedName(path: string, bytes: Uint8Array): string | undefined {
  const name = path.replace(/^piimage\//, '')
  const step = /^(?:early|firstboot)\.d\/\d\d-(.*)$/.exec(name)
  const candidate = `firstboot/${step === null ? name : `steps/${step[1]}`}`
  try {
    return readFileSync(join(packageRoot(), candidate)).equals(bytes) ? candidate : undefined
  } catch {
    return undefined
  }
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
      .sort()
  } catch {
    return []
  }
}

/** @param name `<family>/<case>` */
export function assertGolden(name: string, plan: BootPlan): void {
  const folder = join(root, name)
  const golden = asGolden(plan)
  const kept = new Map(listFiles(folder).map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
  if (process.env.UPDATE === '1') {
    rmSync(folder, { recursive: true, force: true })
    for (const [path, text] of golden) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    assert.fail(`${folder} was written anew: read the changes, then run without UPDATE=1`)
  }
  assert.deepEqual(Object.fromEntries(golden), Object.fromEntries(kept), `UPDATE=1 rewrites ${folder}`)
}
