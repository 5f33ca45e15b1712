/**
 * Man pages, from the table that `--help` is made from.
 *
 *     node packaging/man.mjs FOLDER      (after `npm run build`)
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { describeCommand, describeGlobalFlags } = await import(join(root, 'dist/commands/flag-table.js'))
const { commands } = await import(join(root, 'dist/commands/list.js'))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Text for roff: no line may start with a control character, and a backslash or dash stands for itself. */
const roff = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1')
const bold = (text) => `\\fB${roff(text)}\\fR`
const italic = (text) => `\\fI${roff(text)}\\fR`

/** `.TH` takes the day of the page; the changelog's newest entry has none, so the version stands for it. */
const heading = (name) => `.TH "${name.toUpperCase()}" "1" "" "piimage ${version}" "piimage"`

function formatFlag({ name, short, describe, type, choices, default: value }) {
  const word = choices.length > 0 ? choices.join('|') : name.toUpperCase()
  const argument = type === 'boolean' ? '' : ` ${italic(word)}`
  const names = [...(short === undefined ? [] : [bold(`-${short}`)]), `${bold(`--${name}`)}${argument}`]
  if (type === 'boolean' && value === 'true') names.push(bold(`--no-${name}`))
  const preset = value === undefined || type === 'boolean' ? '' : ` (default: ${value})`
  return `.TP\n${names.join(', ')}\n${roff(`${describe}${preset}`)}`
}

const formatGroup = ({ title, flags }) =>
  [`.SH ${roff(title.replace(/:$/, '').toUpperCase())}`, ...flags.map(formatFlag)].join('\n')

function formatStatuses() {
  const rows = readFileSync(join(root, 'docs/commands.md'), 'utf8').matchAll(/^\| (\d+) +\| (.+?) +\|$/gm)
  return [
    '.SH EXIT STATUS',
    ...[...rows].map(([, status, means]) => `.TP\n${bold(status)}\n${roff(means)}`),
  ].join('\n')
}

async function formatCommand(entry) {
  const { name, synopsis, describe, positionals, groups, examples } = await describeCommand(entry)
  const page = `piimage\\-${roff(name)}`
  return [
    heading(`piimage-${name}`),
    `.SH NAME\n${page} \\- ${roff(describe)}`,
    `.SH SYNOPSIS\n${bold('piimage')} ${roff(synopsis)} [${italic('options')}]`,
    `.SH DESCRIPTION\n${roff(`${describe}.`)}`,
    ...(positionals.length > 0 ? [formatArguments(positionals)] : []),
    ...[...groups, describeGlobalFlags()].map(formatGroup),
    ...(examples.length > 0 ? [formatExamples(examples)] : []),
    `.SH SEE ALSO\n${bold('piimage')}(1)\n`,
  ].join('\n')
}

const formatArguments = (positionals) =>
  [
    '.SH ARGUMENTS',
    ...positionals.map(
      ({ name, describe, choices }) =>
        `.TP\n${italic(name)}\n${roff(describe)}${choices.length > 0 ? roff(`: ${choices.join(', ')}`) : ''}`,
    ),
  ].join('\n')

const formatExamples = (examples) =>
  ['.SH EXAMPLES', ...examples.map(({ line, describe }) => `.TP\n${roff(describe)}\n${bold(line)}`)].join(
    '\n',
  )

const formatProgram = () =>
  [
    heading('piimage'),
    '.SH NAME\npiimage \\- SD cards and netboot roots for clusters of Raspberry Pis',
    `.SH SYNOPSIS\n${bold('piimage')} ${italic('command')} [${italic('options')}]`,
    `.SH DESCRIPTION\n${roff('One cluster file in git describes every Raspberry Pi you have; piimage turns it into verified SD cards, each with its own host name, user, keys, address and first-boot steps, and into what diskless nodes boot from.')}`,
    [
      '.SH COMMANDS',
      ...commands.map(({ name, describe }) => `.TP\n${bold(`piimage ${name}`)}\n${roff(describe)}`),
    ].join('\n'),
    formatGroup(describeGlobalFlags()),
    formatStatuses(),
    `.SH SEE ALSO\n${commands.map(({ name }) => `${bold(`piimage-${name}`)}(1)`).join(', ')}\n`,
  ].join('\n')

/** @returns the pages' names */
export async function writeManPages(folder) {
  mkdirSync(folder, { recursive: true })
  const pages = { 'piimage.1': formatProgram() }
  for (const entry of commands) pages[`piimage-${entry.name}.1`] = await formatCommand(entry)
  for (const [name, text] of Object.entries(pages)) writeFileSync(join(folder, name), text)
  return Object.keys(pages)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeManPages(process.argv[2] ?? 'build/man')
