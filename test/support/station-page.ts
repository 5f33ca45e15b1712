/** A batch at the station as a person makes it: in the browser, swap by swap. */
import type { Page } from 'playwright-core'

/** Begin a batch with readers that are empty. */
export async function startBatch(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Start a batch …' }).click()
  await page.getByRole('button', { name: 'Start the batch' }).click()
  await page.getByText('The batch is on.').waitFor()
}

/**
 * The name that a person would write on the card of each reader, once every one is done.
 * @throws {Error} a card failed, or was left as it is; in the page's words
 */
export async function namesOfDone(page: Page, readers: readonly string[]): Promise<Map<string, string>> {
  const slots = readers.map((path) => page.getByRole('article', { name: path, exact: true }))
  const failed = page.getByRole('article').filter({ hasText: '✗' })
  // One that is out already is the one of before.
  const done = page.getByRole('article').filter({ hasText: /Done: written and read back[\s\S]*Take it out/ })
  await done
    .nth(readers.length - 1)
    .or(failed.first())
    .first()
    .waitFor()
  if ((await failed.count()) > 0) throw new Error(await failed.first().innerText())
  const names = new Map<string, string>()
  for (const [index, slot] of slots.entries())
    names.set(readers[index] as string, await slot.locator('.done .name').innerText())
  return names
}

/** Until every reader is seen to be empty. */
export async function seenOut(page: Page, count: number): Promise<void> {
  await page
    .getByText('It is out.')
    .nth(count - 1)
    .waitFor()
}
