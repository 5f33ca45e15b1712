/** What a person answers to the questions of `init`, or says in its flags, judged. */
import { basename } from 'node:path'
import { type Model, modelNames } from '../cluster/boards.ts'
import { formats } from '../cluster/formats.ts'
import { UsageError } from '../errors.ts'
import { suggest } from '../nearest.ts'

/** A count or names: `5`; `oneil carter`. */
export function readNames(answer: string, flag = ''): string[] {
  const words = answer.split(/[\s,]+/).filter((word) => word !== '')
  if (words.length === 1 && /^\d+$/.test(words[0] ?? '')) {
    const count = Number(words[0])
    if (count >= 1 && count <= 250) return Array.from({ length: count }, (_, index) => `pi${index + 1}`)
    throw new UsageError(`${flag}${answer} must be 1 to 250`, { hint: 'A larger cluster is written by hand' })
  }
  for (const name of words) checked(`${flag || 'the name '}`.trim(), name, 'host-name')
  const twice = words.find((name, index) => words.indexOf(name) !== index)
  if (twice !== undefined) throw new UsageError(`${flag}${answer} names ${twice} twice`)
  if (words.length === 0) throw new UsageError('at least one node is needed')
  return words
}

/** As people write them: `Raspberry Pi 4`, `Pi 3B+`, `zero 2 w`. */
export const wordsOfBoards = (answer: string): string[] =>
  answer
    .toLowerCase()
    .replace(/raspberry\s+(?=pi)/g, '')
    .replace(/\bpi\s+(?=\d|zero)/g, 'pi')
    .replace(/\b(?:pi)?(zero(?:\s*2)?(?:\s*w)?)\b/g, (_, board: string) => board.replace(/\s/g, ''))
    .split(/[\s,]+/)

export function readModels(words: readonly string[], nodes: number, flag = ''): Model[] {
  const wrong = words.find((word) => !(modelNames as readonly string[]).includes(word))
  if (wrong !== undefined)
    throw new UsageError(`${flag}${JSON.stringify(wrong)} is not a known board`, {
      hint: suggest(wrong, modelNames, 'boards'),
    })
  if (words.length !== 1 && words.length !== nodes)
    throw new UsageError(`${flag.trim() || 'that'}: ${words.length} boards for ${nodes} nodes`, {
      hint: 'Give one for all of them, or one for each',
    })
  return words as Model[]
}

/** The folder's name as a cluster may be called; undefined: nothing of it is left. */
export function nameOfFolder(folder: string): string | undefined {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '')
  return name === '' ? undefined : name
}

/** @throws {UsageError} naming the flag or the question */
export function checked(what: string, value: string, format: string): string {
  const complaint = formats[format]?.(value)
  if (complaint === undefined) return value
  throw new UsageError(`${what} ${JSON.stringify(value)} ${complaint.problem}`, { hint: complaint.hint })
}
