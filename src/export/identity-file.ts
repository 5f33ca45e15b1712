/** Which of a person's private keys opens a node: found by its public half, never read. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Node } from '../cluster/node.ts'
import { readInputText } from '../io/input-file.ts'
import { parseAuthorizedKeys, withoutComment } from '../secrets/authorized-keys.ts'

/** @returns for each node the `~/.ssh/…` file whose `.pub` is among the keys that may log in */
export function findIdentityFiles(home: string): (node: Node) => string | undefined {
  const folder = join(home, '.ssh')
  const names = existsSync(folder) ? readdirSync(folder).sort() : []
  const files = new Map<string, string>()
  for (const name of names) {
    const file = name.replace(/\.pub$/, '')
    if (file === name || !names.includes(file)) continue
    for (const { key } of parseAuthorizedKeys(readInputText(join(folder, name))))
      if (key.ok) files.set(withoutComment(key.line), `~/.ssh/${file}`)
  }
  return (node) =>
    node.user?.sshKeys.map((line) => files.get(withoutComment(line))).find((file) => file !== undefined)
}
