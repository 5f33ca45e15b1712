/**
 * A boot plan as text: what is recognised, then a unified diff of every file
 * that changes. Files that nobody wants to read (scripts that are the same on
 * every node, digests, bytes that are no text) are listed with their sizes.
 * Secrets are never in it: files of the secrets folder are only named, and
 * every other occurrence of a secret reads `<secret>`.
 */

import { PAYLOAD } from '../boot/payload-paths.ts'
import { formatDiff } from '../diff.ts'
import { quoteLine } from '../terminal-text.ts'
import { formatBytes } from '../units.ts'
import type { BootPlan, FileChange } from './plan-boot.ts'
import { RECEIPT_FILE } from './receipt.ts'

/** Shipped scripts are the same on every node; the receipt lists digests. */
const unread = new RegExp(
  `^(?:${PAYLOAD}/(?:install\\.sh|run\\.sh|lib\\.sh|units/|early\\.d/|firstboot\\.d/).*|${RECEIPT_FILE})$`,
)

export function describeBootPlan(plan: BootPlan): string {
  const { os } = plan
  const lines = [
    `node ${plan.node}: ${os.family} ${os.release}, started by ${os.trigger}, boot partition at ${os.bootMount}`,
    ...os.evidence.map((evidence) => quoteLine(`  found ${evidence}`)),
    ...plan.warnings.map((warning) => quoteLine(`  warning: ${warning}`)),
    '',
  ]
  if (plan.files.length === 0) lines.push('nothing to change', '')
  const shown = plan.files.map((file) => ({ file, text: describeFile(file, plan.secrets) }))
  const listed = shown.flatMap(({ file, text }) => (text === undefined ? [file] : []))
  if (listed.length > 0) lines.push('without a diff:', ...listed.map(listFile), '')
  return lines.join('\n') + shown.map(({ text }) => text ?? '').join('')
}

function listFile({ path, before, after }: FileChange): string {
  const sign = before === null ? '+' : after === null ? '-' : '~'
  const size = formatBytes((after ?? before)?.length ?? 0)
  return `  ${sign} ${quoteLine(path)} (${path.startsWith(`${PAYLOAD}/secrets/`) ? 'secret, ' : ''}${size})`
}

/** The diff of one file, or undefined when there is none to read. */
function describeFile({ path, before, after }: FileChange, secrets: readonly string[]): string | undefined {
  if (path.startsWith(`${PAYLOAD}/secrets/`) || unread.test(path)) return undefined
  const old = asText(before)
  const text = asText(after)
  if (old === undefined || text === undefined || (old === '' && text === '')) return undefined
  const name = quoteLine(path)
  const head = `--- ${before === null ? '/dev/null' : name}\n+++ ${after === null ? '/dev/null' : name}\n`
  return head + redact(formatDiff(old, text), secrets)
}

/** undefined: bytes that are no text. */
function asText(bytes: Uint8Array | null): string | undefined {
  if (bytes === null) return ''
  if (bytes.includes(0)) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * Replace every secret, the longest first. Of a secret with several lines each
 * line counts: a diff puts a sign in front of it.
 */
export function redact(text: string, secrets: readonly string[]): string {
  const parts = new Set<string>()
  for (const secret of secrets) {
    for (const part of [secret, ...secret.split('\n'), JSON.stringify(secret).slice(1, -1)]) {
      if (part.trim().length >= 4) parts.add(part)
    }
  }
  let result = text
  for (const part of [...parts].sort((a, b) => b.length - a.length))
    result = result.replaceAll(part, '<secret>')
  return result
}
