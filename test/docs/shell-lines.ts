/** Command lines as the pages have them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/package-root.ts'

/** Lines of the code blocks that are for a shell, without remarks; `a && b` is two. */
export const shellLines = (page: string): string[] =>
  [...readFileSync(join(packageRoot(), page), 'utf8').matchAll(/```sh\n(.*?)```/gs)].flatMap(
    ([, block = '']) =>
      block
        .split('\n')
        .flatMap((line) => line.replace(/(?:^|\s)#\s.*$/, '').split(' && '))
        .map((line) => line.trim())
        .filter((line) => line !== ''),
  )
