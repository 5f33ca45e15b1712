/** What applying would change, for people: `--dry-run`. */
import { formatDiff } from '../diff.ts'
import { findFile, isOurs } from './place.ts'
import { readRecord, recordPath } from './record.ts'
import type { ServerFile } from './server-file.ts'

export interface FileChange {
  path: string
  kind: 'new' | 'changed' | 'same' | 'gone'
  /** Unified diff with file names; '' for `same`. */
  diff: string
}

/** In the order of `files`; files of an earlier run that are no longer wanted come last. */
export async function diffServers(
  files: readonly ServerFile[],
  { prefix = '', stateFolder }: { prefix?: string; stateFolder: string },
): Promise<FileChange[]> {
  const changes: FileChange[] = []
  for (const { path, content } of files) {
    const found = await findFile(prefix + path)
    changes.push(changeOf(path, found?.content.toString(), content))
  }
  const record = await readRecord(recordPath(prefix, stateFolder))
  const wanted = new Set(files.map(({ path }) => path))
  for (const recorded of record.files) {
    if (wanted.has(recorded.path)) continue
    const found = await findFile(prefix + recorded.path)
    if (found !== undefined && isOurs(found, recorded))
      changes.push(changeOf(recorded.path, found.content.toString(), undefined))
  }
  return changes
}

function changeOf(path: string, before: string | undefined, after: string | undefined): FileChange {
  if (before === after) return { path, kind: 'same', diff: '' }
  const name = (text: string | undefined, side: string): string =>
    text === undefined ? '/dev/null' : side + path
  const diff = `--- ${name(before, 'a')}\n+++ ${name(after, 'b')}\n${formatDiff(before ?? '', after ?? '')}`
  return { path, kind: before === undefined ? 'new' : after === undefined ? 'gone' : 'changed', diff }
}
