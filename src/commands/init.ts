/**
 * `piimage init`: a cluster file from a template, the cluster's secret key, and
 * a .gitignore that keeps secrets out of git. Never overwrites: in a folder
 * that has a cluster file already it adds what is missing.
 *
 * What it must know it takes from flags, else asks, else guesses; what can't be
 * guessed is an error that names the flag. The file is judged before it is
 * written, so the first `plan` finds nothing wrong in it.
 */

import { existsSync, statSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { parseCluster, readLocalFile } from '../cluster/cluster-file.ts'
import { formats } from '../cluster/formats.ts'
import { MistakesError, UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { createFileAtomically } from '../io/atomic-file.ts'
import { giveToPerson, makeOutputFolder } from '../io/ownership.ts'
import { clearDeadParts } from '../io/parts.ts'
import { expandHome, fromFolder } from '../io/portable-path.ts'
import { CLUSTER_KEY_FILE, createClusterKey } from '../secrets/cluster-key.ts'
import { JOURNAL_FILE } from '../work/batch-journal.ts'
import { fillTemplate, readTemplate, schemaPath, type Template, templateNames } from '../work/template.ts'
import type { World } from '../world.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'

interface InitArgs {
  dir: string
  template?: string
  name?: string
  user?: string
  'ssh-key'?: string
  wifi?: string
  'wifi-country'?: string
  'wifi-passphrase-file'?: string
}

/** The pass phrase lies beside the cluster file unless a flag names another place. */
const PASSPHRASE_FILE = 'wifi.passphrase'
/** As `export kubeconfig` is shown to be used. */
const KUBECONFIG_FILE = 'kubeconfig'
/** Needs nothing of anybody's: what it holds is only looked at. */
const DEFAULT_TEMPLATE = 'demo'

/** What is to be written, judged and right. */
interface Start {
  template: Template
  text: string
  /** To be kept in PASSPHRASE_FILE. */
  passphrase?: string
}

export const initCommand = defineCommand<InitArgs>({
  command: 'init [dir]',
  describe: 'Start a cluster: cluster file, secret key, .gitignore',
  builder: (cli) =>
    cli
      .positional('dir', { type: 'string', default: '.', describe: 'Folder to start in' })
      .option('template', { choices: templateNames(), describe: `What to start from (${DEFAULT_TEMPLATE})` })
      .option('name', { type: 'string', nargs: 1, describe: "The cluster's name (default: the folder's)" })
      .option('user', { type: 'string', nargs: 1, describe: 'Login name on the nodes' })
      .option('ssh-key', {
        type: 'string',
        nargs: 1,
        describe: 'Public key file that may log in (default: yours in ~/.ssh)',
      })
      .option('wifi', { type: 'string', nargs: 1, describe: "The Wi-Fi network's name, if a node uses one" })
      .option('wifi-country', { type: 'string', nargs: 1, describe: 'Whose radio rules it keeps: DE' })
      .option('wifi-passphrase-file', {
        type: 'string',
        nargs: 1,
        describe: `File with the pass phrase (default: ${PASSPHRASE_FILE})`,
      })
      .example('$0 init sgc --template clusterhat', 'A folder sgc with everything to edit and flash'),
  async run(args, context) {
    const { world, output } = context
    const folder = resolve(world.cwd, args.dir)
    const shown = (name: string): string => relative(world.cwd, join(folder, name))
    const made: string[] = []
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory())
      // A key that was half made is a secret under a name that git does not ignore.
      for (const name of [CLUSTER_KEY_FILE, PASSPHRASE_FILE, 'cluster.yaml'])
        await clearDeadParts(join(folder, name))
    const make = async (name: string, makeFile: () => Promise<unknown>) => {
      await makeFile()
      made.push(name)
    }
    const ignored = [CLUSTER_KEY_FILE, JOURNAL_FILE, KUBECONFIG_FILE]
    let start: Start | undefined
    if (existsSync(join(folder, 'cluster.yaml'))) {
      output.note(`${shown('cluster.yaml')} is there already and stays as it is`)
    } else {
      start = await prepare(args, folder, context)
      await makeOutputFolder(folder)
      const { passphrase, template } = start
      if (passphrase !== undefined)
        await make(PASSPHRASE_FILE, () => create(join(folder, PASSPHRASE_FILE), `${passphrase}\n`, 0o600))
      if (template.wifi !== undefined) ignored.push(PASSPHRASE_FILE)
    }
    const keyFile = join(folder, CLUSTER_KEY_FILE)
    if (!existsSync(keyFile)) await make(CLUSTER_KEY_FILE, () => createClusterKey(keyFile))
    if (await addLines(join(folder, '.gitignore'), ignored)) made.push('.gitignore')
    // Last: while it is not there, the next run makes what is missing beside it.
    const text = start?.text
    if (text !== undefined) await make('cluster.yaml', () => create(join(folder, 'cluster.yaml'), text))

    for (const name of made) output.print(`made ${shown(name)}`)
    if (made.length === 0) output.print(`${args.dir} has everything already`)
    output.note(
      `Keep ${CLUSTER_KEY_FILE} safe and out of git: every secret of the cluster is derived from it.`,
    )
    const next = start === undefined ? [] : nextCommands(start.template)
    if (next.length > 0) {
      const enter = folder === resolve(world.cwd) ? [] : [`cd ${relative(world.cwd, folder)}`]
      output.note('Look through cluster.yaml, then:')
      for (const line of [...enter, ...next]) output.note(`  ${line}`)
    }
    return { made: made.map((name) => join(folder, name)), next }
  },
})

/** @throws {UsageError} another process has just made it */
async function create(path: string, text: string, mode?: number): Promise<void> {
  await createFileAtomically(path, text, mode).catch((error) => {
    if (error.code !== 'EEXIST') throw error
    throw new UsageError(`${path} was made by somebody else meanwhile`, {
      hint: 'Look at it, then run the command again: it adds what is missing.',
      cause: error,
    })
  })
}

/** From nothing to the first card. */
function nextCommands({ fetchCommands, lockCommands, firstNode }: Template): string[] {
  const first = [...fetchCommands, ...lockCommands]
  const look = first.length > 0 ? [] : ['piimage drives']
  return [...first, 'piimage plan --all', ...look, `piimage flash --node ${firstNode} DRIVE`]
}

async function prepare(args: GlobalArgs & InitArgs, folder: string, context: Context): Promise<Start> {
  const { world } = context
  const home = world.env.HOME ?? homedir()
  const ask: World['ask'] = args.yes ? async () => undefined : world.ask
  const template = readTemplate(args.template ?? (await askTemplate(ask)))
  const cluster = checked('--name', args.name ?? nameOfFolder(folder) ?? template.name, 'host-name')
  const asIs = template.name === DEFAULT_TEMPLATE
  const user =
    args.user ?? (asIs ? undefined : (await ask(`Login name on the nodes [${template.user}]: `)) || undefined)
  if (user !== undefined) checked('--user', user, 'user-name')
  const sshKey =
    asIs && args['ssh-key'] === undefined
      ? undefined
      : await chooseSshKey(args['ssh-key'], { folder, home, cwd: world.cwd, ask })
  const wifi =
    template.wifi === undefined
      ? undefined
      : await chooseWifi(args, template.wifi.country, { folder, home, cwd: world.cwd, ask })
  const text = fillTemplate(template, {
    cluster,
    schema: schemaPath(folder),
    user,
    sshKey,
    wifi: wifi?.settings,
  })
  const start = { template, text, passphrase: wifi?.passphrase }
  await judge(start, folder, home)
  return start
}

interface Place {
  folder: string
  home: string
  cwd: string
  ask: World['ask']
}

async function askTemplate(ask: World['ask']): Promise<string> {
  const names = templateNames()
  const answer = (await ask(`Template (${names.join(', ')}) [${DEFAULT_TEMPLATE}]: `))?.trim()
  if (answer === undefined || answer === '') return DEFAULT_TEMPLATE
  if (names.includes(answer)) return answer
  throw new UsageError(`there is no template ${JSON.stringify(answer)}`, {
    hint: `Name one of ${names.join(', ')} with --template`,
  })
}

/** The folder's name as a cluster may be called; undefined: nothing of it is left. */
function nameOfFolder(folder: string): string | undefined {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '')
  return name === '' ? undefined : name
}

/** The key as the cluster file names it: a key line, or a file. */
async function chooseSshKey(given: string | undefined, place: Place): Promise<string> {
  const { folder, home, cwd, ask } = place
  const own = ['id_ed25519.pub', 'id_ecdsa.pub', 'id_rsa.pub']
    .map((name) => join(home, '.ssh', name))
    .find((path) => existsSync(path))
  const answer = given ?? own ?? (await ask('Public key file that may log in: '))?.trim()
  if (answer === undefined || answer === '') {
    throw new UsageError(`no public SSH key in ${join(home, '.ssh')}`, {
      hint: 'Make one with ssh-keygen -t ed25519, or name one with --ssh-key FILE',
    })
  }
  if (/^(ssh|ecdsa|sk)-\S+ /.test(answer)) return answer
  const path = resolve(cwd, expandHome(answer, home))
  if (existsSync(path)) return fromFolder(path, folder, home)
  throw new UsageError(`--ssh-key: there is no file ${answer}`, {
    hint: 'Name the public half, the file that ends in .pub',
  })
}

async function chooseWifi(args: InitArgs, templateCountry: string, place: Place) {
  const { folder, home, cwd, ask } = place
  const ssid = args.wifi ?? (await ask('Wi-Fi network: '))
  if (ssid === undefined || ssid === '')
    throw new UsageError('a node of this template uses Wi-Fi, and its network has no name yet', {
      hint: 'Name it with --wifi SSID',
    })
  const country =
    args['wifi-country'] ??
    ((await ask(`Country whose radio rules apply [${templateCountry}]: `)) || undefined)
  const settings = {
    ssid: checked('--wifi', ssid, 'ssid'),
    country: checked('--wifi-country', country ?? templateCountry, 'country'),
    passphraseFile: PASSPHRASE_FILE,
  }
  const given = args['wifi-passphrase-file']
  if (given !== undefined) {
    const path = resolve(cwd, expandHome(given, home))
    if (existsSync(path)) return { settings: { ...settings, passphraseFile: fromFolder(path, folder, home) } }
    throw new UsageError(`--wifi-passphrase-file: there is no file ${given}`, {
      hint: 'Write the pass phrase on its first line, and run chmod 600 on it',
    })
  }
  if (existsSync(join(folder, PASSPHRASE_FILE))) return { settings }
  const passphrase = await ask(`Pass phrase of ${ssid}: `, { hidden: true })
  if (passphrase === undefined)
    throw new UsageError(`nobody is there to say the pass phrase of ${ssid}`, {
      hint: 'Name a file that holds it with --wifi-passphrase-file FILE (mode 0600)',
    })
  const complaint = formats.passphrase?.(passphrase)
  if (complaint === undefined) return { settings, passphrase }
  throw new UsageError(`the pass phrase ${complaint.problem}`, { hint: complaint.hint })
}

/** @throws {UsageError} naming the flag */
function checked(flag: string, value: string, format: string): string {
  const complaint = formats[format]?.(value)
  if (complaint === undefined) return value
  throw new UsageError(`${flag} ${JSON.stringify(value)} ${complaint.problem}`, { hint: complaint.hint })
}

/**
 * The rules that `plan` will apply, but for the images: those may have to be locked first.
 * @throws {MistakesError}
 */
async function judge({ text, passphrase }: Start, folder: string, home: string): Promise<void> {
  const { mistakes } = await parseCluster(text, 'cluster.yaml', {
    features,
    folder,
    home,
    readLocal(path) {
      const toBeWritten = passphrase !== undefined && path === join(folder, PASSPHRASE_FILE)
      return toBeWritten ? { text: passphrase } : readLocalFile(path)
    },
  })
  if (mistakes.length > 0) throw new MistakesError(mistakes)
}

/** @returns whether any of them was not there yet */
async function addLines(path: string, lines: readonly string[]): Promise<boolean> {
  const text = existsSync(path) ? await readFile(path, 'utf8') : ''
  const missing = lines.filter((line) => !text.split(/\r?\n/).includes(line))
  if (missing.length === 0) return false
  const isNew = !existsSync(path)
  const handle = await open(path, 'a')
  try {
    if (isNew) await giveToPerson(handle, dirname(path))
    await handle.writeFile(`${text === '' || text.endsWith('\n') ? '' : '\n'}${missing.join('\n')}\n`)
  } finally {
    await handle.close()
  }
  return true
}
