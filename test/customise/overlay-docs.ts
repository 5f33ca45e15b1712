/**
 * overlays/README.md, made from the overlays and the tables of this room, so
 * that it cannot fall behind them. A test compares the file with this output.
 */
import { basename } from 'node:path'
import { artifactRows } from '../../src/customise/artifacts.ts'
import { editKinds } from '../../src/customise/edit-kinds.ts'
import type { Overlay, ParameterSchema } from '../../src/customise/overlay.ts'
import { valueRows } from '../../src/customise/values.ts'
import { features } from '../../src/features/index.ts'
import { earlyOrder, networkOrder } from '../../src/node/step-order.ts'

/** @param overlays the shipped ones */
export function formatOverlayDocs(overlays: ReadonlyMap<string, Overlay>): string {
  const sorted = [...overlays.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  return [
    head,
    table(
      ['overlay', 'what it does'],
      sorted.map(({ name, summary }) => [`[\`${name}\`](#${name})`, summary]),
    ),
    '',
    ...sorted.map(describe),
    grammar,
    table(
      ['placeholder', 'value'],
      [
        ...valueRows.map(({ path, meaning, systemOnly }) => [
          `\`\${${path}}\``,
          systemOnly ? `${meaning} (in \`system:\` only)` : meaning,
        ]),
        [`\`\${param.NAME}\``, 'a parameter of the overlay'],
      ],
    ),
    '',
    '### Materials',
    '',
    'Texts that piimage makes from the cluster and its key; `materials: [NAME]` puts them into the payload. On the node',
    'they are `$payload/material/NAME`, secret ones `$secrets/NAME` (readable by root only, wiped from the boot partition).',
    '',
    table(
      ['material', 'text'],
      artifactRows.map(({ name, meaning }) => [`\`${name}\``, meaning]),
    ),
    '',
    '## Order of steps',
    '',
    'Shipped steps have these numbers; those between are free.',
    '',
    table(
      ['phase', 'number', 'step'],
      [
        ...Object.entries(earlyOrder).map(([name, order]) => ['early', String(order), name]),
        ...networkSteps(overlays).map(([name, order]) => ['network', String(order), name]),
      ],
    ),
    '',
  ].join('\n')
}

/** Name and order of each, in the order they run. */
function networkSteps(overlays: ReadonlyMap<string, Overlay>): [string, number][] {
  const steps = new Map<string, number>(Object.entries(networkOrder))
  for (const { name } of features)
    for (const { firstboot } of overlays.get(name)?.edits ?? []) {
      const { phase, order, script } = (firstboot ?? {}) as Record<string, unknown>
      if (phase === 'network') steps.set(basename(String(script), '.sh'), Number(order))
    }
  return [...steps].sort(([, a], [, b]) => a - b)
}

const head = `# Overlays

An overlay is a folder with an \`overlay.yaml\`: data that says what changes on a node's boot partition. List overlays
under \`overlays:\` in the cluster file, by name or with parameters (\`gpu-mem: { megabytes: 32 }\`). A folder
\`overlays/\` beside the cluster file adds your own; one with the name of a shipped overlay takes its place.

This page is made by the function \`formatOverlayDocs\` from the overlays themselves.
`

function describe(overlay: Overlay): string {
  const { name, summary, description, parameters, choice, needs, requires, conflicts } = overlay
  const lines = [`## ${name}`, '', `${summary}.`, '']
  if (description !== undefined) lines.push(description.trimEnd(), '')
  const rows = Object.entries(parameters)
  if (rows.length > 0) {
    lines.push(
      table(
        ['parameter', 'form', 'default', 'meaning'],
        rows.map(([key, schema]) => [`\`${key}\``, formOf(schema), defaultOf(schema), schema.description]),
      ),
      '',
    )
  }
  for (const names of choice)
    lines.push(`Give exactly one of ${names.map((name) => `\`${name}\``).join(' and ')}.`, '')
  if (needs.length > 0) lines.push(`Needs: ${needs.join(', ')}.`, '')
  if (requires.length > 0) lines.push(`Requires the overlays: ${requires.join(', ')}.`, '')
  if (conflicts.length > 0) lines.push(`Excludes the overlays: ${conflicts.join(', ')}.`, '')
  return lines.join('\n')
}

const formOf = (schema: ParameterSchema): string =>
  schema.enum !== undefined
    ? schema.enum.map((value) => `\`${value}\``).join(', ')
    : [schema.type ?? 'any'].flat().join(' or ')

const defaultOf = (schema: ParameterSchema): string =>
  !('default' in schema)
    ? 'must be given'
    : schema.default === null
      ? 'may be left out'
      : `\`${JSON.stringify(schema.default)}\``

/** Cells padded to their column, as the formatter of this project leaves them. */
function table(header: string[], rows: string[][]): string {
  const cells = [header, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))
  const widths = header.map((_, column) => Math.max(3, ...cells.map((row) => (row[column] ?? '').length)))
  const line = (row: string[], fill = ' ') =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width, fill)).join(' | ')} |`
  const [head = [], ...body] = cells
  return [line(head), line([], '-'), ...body.map((row) => line(row))].join('\n')
}

const grammar = `## Writing your own

\`\`\`yaml
# overlays/motd/overlay.yaml
name: motd
summary: A greeting at login
parameters:
  text: { type: string, maxLength: 60, description: The greeting. }
edits:
  - file:
      on: root
      path: /etc/motd
      content: "Welcome to \${raw:node.name}: \${raw:param.text}\\n"
\`\`\`

\`parameters:\` are JSON Schemas by name. One without \`default\` must be given; \`default: null\` means it may be left
out. \`choice:\` lists parameters of which exactly one is given, \`requires:\` and \`conflicts:\` other overlays,
\`needs:\` what node or image must have (\`arm64\`, \`cloud-init\`, \`user\`, \`wifi\`, \`address\`, \`usb-device-port\`,
\`kernel-6\`). The form in full: \`schema/overlay.v1.json\`.

\`edits:\` is a list; each entry has one of these keys, and may have \`when:\` with paths and the values they must have
(\`when: { os.kernel: [4, 5], node.role: head }\`).

${table(
  ['edit', 'does'],
  Object.entries(editKinds).map(([name, { does }]) => [`\`${name}\``, does]),
)}

### Placeholders

They are filled in after the YAML was read, so a value is always one value, whatever is in it. In overlay.yaml write
\`\${path}\`; a text that is only a placeholder gets the value itself, a list or number included; \`$\${\` is a literal
\`\${\`. In the contents of files name the quoting: \`\${sh:path}\` for shell, \`\${json:path}\`, \`\${raw:path}\` for the bare
text (no line ends). Scripts of \`firstboot\` have no placeholders: they read the environment.
`
