/**
 * A reporter for `node --test`: how many cases each test file held, and what
 * else tests counted (./figures.ts), and how long it took, as JSON lines. `npm test` writes them to
 * build/figures.jsonl; `npm run promises` compares them with the README.
 */
import { relative } from 'node:path'
import { packageRoot } from '../../src/package-root.ts'
import { FIGURE, MILLISECONDS } from './figures.ts'

interface TestEvent {
  type: string
  data: {
    file?: string
    message?: string
    name?: string
    skip?: unknown
    todo?: unknown
    nesting?: number
    details?: { type?: string; duration_ms?: number }
  }
}

/** One line per passed case, one per counted thing: added up by whoever reads them. */
export async function* reportFigures(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (data.file === undefined) continue
    const file = relative(`${packageRoot()}/build`, data.file).replace(/\.js$/, '')
    const passed = type === 'test:pass' && data.skip === undefined && data.todo === undefined
    // A file is reported as a test of its own by some versions of Node.
    if (passed && data.details?.type !== 'suite' && !data.name?.endsWith('.test.js'))
      yield `${JSON.stringify({ file, figure: 'cases', count: 1 })}\n`
    if (
      (type === 'test:pass' || type === 'test:fail') &&
      data.nesting === 0 &&
      !data.name?.endsWith('.test.js')
    )
      yield `${JSON.stringify({ file, figure: MILLISECONDS, count: Math.round(data.details?.duration_ms ?? 0) })}\n`
    if (type === 'test:fail') yield `${JSON.stringify({ file, figure: 'failed', count: 1 })}\n`
    const [, figure, count] = (type === 'test:diagnostic' && FIGURE.exec(data.message ?? '')) || []
    if (figure !== undefined) yield `${JSON.stringify({ file, figure, count: Number(count) })}\n`
  }
}

// biome-ignore lint/style/noDefaultExport: the test runner takes the default export of a reporter
export default reportFigures
