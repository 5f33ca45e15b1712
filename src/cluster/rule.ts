/** What a lint rule is: it sees the whole file and all nodes, and reports to the judge. */
import type { Draft } from './draft.ts'
import type { ClusterFile } from './file-shape.ts'
import type { Judge } from './judge.ts'

export interface LintInput {
  file: ClusterFile
  /** In file order. */
  drafts: readonly Draft[]
  judge: Judge
}

export type Rule = (input: LintInput) => void
