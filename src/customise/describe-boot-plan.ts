/**
 * A boot plan as text: what is recognised, then a unified diff of every file
 * that changes. Secrets are never in it: files of the secrets folder are only
 * named, and every other occurrence of a secret reads `<secret>`.
 */
import { formatBytes } from '../units.ts'
import { formatDiff } from './diff.ts'
import { PAYLOAD } from './payload-paths.ts'
import type { BootPlan, FileChange } from './plan-boot.ts'

/** Shipped scripts are the same on every node; their names are enough. */
const shipped = new RegExp(`^${PAYLOAD}/(?:install\\.sh|run\\.sh|lib\\.sh|units/|early\\.d/|firstboot\\.d/)`)

export function describeBootPlan(plan: BootPlan): string {
  const { os } = plan
  const lines = [
    `node ${plan.node}: ${os.family} ${os.release}, started by ${os.trigger}, boot partition at ${os.bootMount}`,
    ...os.evidence.map((evidence) => `  found ${evidence}`),
    ...plan.warnings.map((warning) => `  warning: ${warning}`),
    '',
  ]
  if (plan.files.length === 0) lines.push('nothing to change', '')
  return lines.join('\n') + plan.files.map((file) => describeFile(file, plan.secrets)).join('')
}

function describeFile({ path, before, after }: FileChange, secrets: readonly string[]): string {
  const head = `--- ${before === null ? '/dev/null' : path}\n+++ ${after === null ? '/dev/null' : path}\n`
  if (path.startsWith(`${PAYLOAD}/secrets/`))
    return `${head}<secret, ${formatBytes((after ?? before)?.length ?? 0)}>\n`
  const old = asText(before)
  const text = asText(after)
  if (old === undefined || text === undefined || (before === null && shipped.test(path))) {
    return `${head}${formatBytes((after ?? before)?.length ?? 0)}\n`
  }
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
