/** Debian's Chromium, driven; what it fetches from anywhere but the station is an error. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { TestContext } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { needTool } from './tools.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** On a machine that boots guests meanwhile. */
export const PATIENCE_MS = 180_000

/** @returns undefined after the test was skipped */
export async function openBrowser(t: TestContext): Promise<Browser | undefined> {
  const executablePath = needTool(t, 'chromium', 'chromium')
  if (executablePath === undefined) return undefined
  // Root has no sandbox there.
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  t.after(() => browser.close())
  return browser
}

/** A page with everything that went wrong on it. */
export async function openPage(
  browser: Browser,
  address: string,
  { width = 1440, height = 900, dark = false } = {},
): Promise<{ page: Page; errors: string[]; bytes: () => number }> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
  })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const errors: string[] = []
  let bytes = 0
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  const { origin } = new URL(address)
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) errors.push(`asked for ${request.url()}`)
  })
  page.on('response', async (response) => {
    if (response.headers()['content-type']?.startsWith('text/event-stream') || response.status() >= 300)
      return
    bytes += (await response.body().catch(() => Buffer.alloc(0))).length
  })
  await page.goto(address)
  return { page, errors, bytes: () => bytes }
}

/** What axe-core finds against WCAG and its own good practice, a line each. */
export async function auditPage(page: Page): Promise<string[]> {
  // By the debugger, which a policy against inline scripts doesn't keep out.
  await page.evaluate(axe)
  return page.evaluate(async () => {
    const { violations } = await (
      globalThis as unknown as {
        axe: {
          run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>
        }
      }
    ).axe.run()
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)}: ${failureSummary}`),
    )
  })
}
