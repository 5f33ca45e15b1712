/**
 * What doesn't fit together in a cluster file, although each value looks right.
 *
 * One table of rules; each looks at all nodes and reports every finding with its
 * place. A rule says nothing about values that are wrong by themselves: those were
 * reported before and are undefined here.
 */
import type { Draft } from './draft.ts'
import type { ClusterFile } from './file-shape.ts'
import type { Judge } from './judge.ts'
import { imageFitsModel, imageInLock, modelAndImageGiven } from './lint-boards.ts'

export interface LintInput {
  file: ClusterFile
  /** In file order. */
  drafts: readonly Draft[]
  judge: Judge
}

export type Rule = (input: LintInput) => void

const rules: Record<string, Rule> = {
  modelAndImageGiven,
  imageInLock,
  imageFitsModel,
}

/** Run every rule. */
export function lint(input: LintInput): void {
  for (const rule of Object.values(rules)) rule(input)
}
