/** A netroot plan for people: what is new, what stays, and every path that is the node's own. No secrets. */
import { quoteLine } from '../terminal-text.ts'
import { formatBytes } from '../units.ts'
import type { NetrootPlan, NodePlan } from './plan.ts'
import type { RootModeChoice } from './root-modes/choose.ts'

/** @param isThere whether one of the server's paths is there already */
export function describeNetroot(
  { served, generations, nodes }: NetrootPlan,
  choice: RootModeChoice,
  isThere: (path: string) => boolean,
): string {
  const { server, stateFolder, tftpRoot } = served
  const sign = (path: string) => (isThere(path) ? '=' : '+')
  return [
    `${stateFolder}, served from ${server.ip}/${server.prefix} on ${server.interface}; TFTP gives ${tftpRoot}`,
    `roots are made by ${choice.mode} (${choice.why})`,
    '',
    ...generations.map(({ id, image, folder }) => `${sign(folder)} generation ${id}  ${image}`),
    ...nodes.flatMap((node) => describeNode(node, sign)),
  ].join('\n')
}

function describeNode(node: NodePlan, sign: (path: string) => string): string[] {
  const { served, record, boot, root, volume } = node
  const where = served.tftpNames.length === 0 ? 'not found yet' : `tftp ${served.tftpNames.join(' ')}`
  const cmdline = new TextDecoder().decode(boot.files.get(boot.line)).trimEnd()
  return [
    '',
    `${sign(record.bootFolder)} ${record.node}  ${served.model}  ${served.ip}  ${where}  edition ${record.edition}`,
    ...(volume === undefined
      ? []
      : [`  ${sign(volume.image)} volume ${volume.image} (${formatBytes(volume.bytes)})`]),
    `  root ${record.rootFolder}`,
    `  cmdline ${cmdline}`,
    `  boot ${quoteLine([...boot.files.keys()].sort().join(' '))}`,
    ...root.map(
      (edit) =>
        `  ${edit.kind === 'remove' ? '-' : '~'} ${quoteLine(edit.path)}${edit.kind === 'link' ? ` → ${quoteLine(edit.target)}` : ''}`,
    ),
  ]
}
