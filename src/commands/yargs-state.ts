/** What yargs knows of the flags that were declared; its types leave it out. */
export interface FlagState {
  array: string[]
  boolean: string[]
  number: string[]
  choices: Record<string, string[]>
  default: Record<string, unknown>
  alias: Record<string, string[]>
  narg: Record<string, number>
  key: Record<string, boolean>
  hiddenOptions: string[]
}

export const flagState = (cli: object): FlagState => (cli as { getOptions(): FlagState }).getOptions()
