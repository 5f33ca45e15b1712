/** Items of a list that are told apart by a name: each name once. */
import type { Judge } from './judge.ts'
import type { Said } from './layers.ts'
import { show } from './schema-check.ts'

/** @param what the items are, for the sentence: `user` */
export function refuseTwice(
  judge: Pick<Judge, 'mistake'>,
  what: string,
  names: readonly (Said<string | undefined> | undefined)[],
): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (name?.value === undefined) continue
    if (seen.has(name.value))
      judge.mistake(name.path, `the ${what} ${show(name.value)} is there twice`, 'keep one of the two')
    seen.add(name.value)
  }
}
