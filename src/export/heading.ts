/** The first line of every exported file: what it is, and who may replace it. */
import type { Cluster } from '../cluster/node.ts'

/** @param command how it is made again: `export hosts` */
export const formatHeading = (what: string, cluster: Cluster, command: string): string =>
  `# ${what} of the cluster ${cluster.name}, written by piimage ${command}. Edits are lost when it is made again.`

/** Whether a file that is there already was exported before. */
export const hasHeading = (text: string): boolean =>
  /^# .*, written by piimage export /.test(text.split('\n', 1)[0] ?? '')
