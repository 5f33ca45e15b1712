/** The page's files: few, read once, and found by their whole name, so that no path leads anywhere else. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { isMissing } from '../errno.ts'
import { InstallError } from '../errors.ts'
import { packageRoot } from '../package-root.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface PageFile {
  type: string
  bytes: Buffer
  tag: string
}

/** @returns by the path of a request */
export function readPage(folder = join(packageRoot(), 'page', 'public')): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>()
  try {
    for (const name of readdirSync(folder)) {
      const type = TYPES[extname(name)]
      if (type === undefined) continue
      const bytes = readFileSync(join(folder, name))
      const tag = `"${createHash('sha256').update(bytes).digest('base64url')}"`
      files.set(name === 'index.html' ? '/' : `/${name}`, { type, bytes, tag })
    }
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  if (!files.has('/') || !files.has('/page.js')) throw new InstallError('the folder page/public')
  return files
}
