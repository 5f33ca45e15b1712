/** What was measured, as the markdown table that the READMEs carry. */
import type { Cost } from './measure.ts'
import { limitSeconds, type Row, ratios } from './rows.ts'

export interface Result {
  row: Row
  costs: Cost[]
  /** Why a run of it counts for nothing. */
  failures: string[]
}

const median = (numbers: number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

const medianOf = ({ costs }: Result, part: (cost: Cost) => number): number => median(costs.map(part))

/** @param usedBytes what the image's file systems use */
export function formatTable(results: readonly Result[], usedBytes: number): string {
  const lines = [
    '| program | reads back | wall s | CPU s | peak RSS MB | written MB | wall / limit | load |',
    '|---|---|---|---|---|---|---|---|',
    ...results.map((result) => formatRow(result, usedBytes)),
  ]
  const failed = results.flatMap(({ row, failures }) =>
    failures.map((failure) => `- ${row.name}: failed: ${failure}`),
  )
  return `${[...lines, '', ...listRatios(results), ...failed].join('\n')}\n`
}

function formatRow(result: Result, usedBytes: number): string {
  const { row, costs } = result
  const limit = limitSeconds(row, usedBytes)
  const wall = medianOf(result, (cost) => cost.wallSeconds)
  const cells =
    costs.length === 0
      ? [inCell(row.name), 'failed', '-', '-', '-', '-', '-', '-']
      : [
          inCell(row.name),
          row.reads === 'back' || row.reads === 'only' ? 'yes' : row.reads === 'no' ? 'no' : '-',
          wall.toFixed(1),
          medianOf(result, (cost) => cost.cpuSeconds).toFixed(wall < 1 ? 2 : 1),
          (medianOf(result, (cost) => cost.peakRssBytes) / 1e6).toFixed(0),
          (medianOf(result, (cost) => cost.bytesWritten) / 1e6).toFixed(row.reads === 'nothing' ? 2 : 0),
          limit === 0 ? '-' : (wall / limit).toFixed(2),
          medianOf(result, (cost) => cost.load).toFixed(1),
        ]
  return `| ${cells.join(' | ')} |`
}

const inCell = (text: string): string => text.replaceAll('|', '\\|')

function listRatios(results: readonly Result[]): string[] {
  const find = (name: string) => results.find(({ row, costs }) => row.name === name && costs.length > 0)
  return ratios.flatMap(([text, above, below]) => {
    const [first, second] = [find(above), find(below)]
    if (first === undefined || second === undefined) return []
    const part = (cost: Cost) => (text.endsWith('CPU') ? cost.cpuSeconds : cost.wallSeconds)
    return [`- ${text}: ${(medianOf(first, part) / medianOf(second, part)).toFixed(2)}`]
  })
}
