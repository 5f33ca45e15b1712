/**
 * `piimage init`: what the cluster file must say is taken from flags, else
 * asked, else guessed. A wrong answer is asked again; a wrong flag, or what can't
 * be guessed where nobody is there to ask, is an error that names the flag.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { newestLite } from '../catalog/short-names.ts'
import { boards, DEFAULT_MODEL, type Model } from '../cluster/boards.ts'
import { formats } from '../cluster/formats.ts'
import { UsageError } from '../errors.ts'
import { readInputText } from '../io/input-file.ts'
import { expandHome, fromFolder } from '../io/portable-path.ts'
import { cryptAlphabet, sha512crypt } from '../secrets/sha512crypt.ts'
import { quoteLine } from '../terminal-text.ts'
import {
  hasClusterFile,
  type InitRequest,
  initCluster,
  LOGIN_KEY_FILE,
  PASSPHRASE_FILE,
} from '../work/init.ts'
import { checked, nameOfFolder, readModels, readNames } from '../work/init-answers.ts'
import { readLocks } from '../work/project.ts'
import { readTemplate, type Template, type TemplateValues, templateNames } from '../work/template.ts'
import type { World } from '../world.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'

interface InitArgs {
  dir: string
  template?: string
  name?: string
  nodes?: string
  model: string[]
  user?: string
  'ssh-key'?: string
  password: boolean
  wifi?: string
  'wifi-country'?: string
  'wifi-passphrase-file'?: string
}

/** Boards on a network that is there already. */
const PLAIN = 'basic'
/** Needs nothing of anybody's: what it holds is only looked at. */
const DEMO = 'demo'
const DEFAULT_COUNT = 3
/** Where the templates' Wi-Fi is, too. */
const DEFAULT_COUNTRY = 'DE'
const SALT_LENGTH = 16

interface Asker {
  ask: World['ask']
  /** Say why an answer will not do. */
  complain: (error: UsageError) => void
  signal: AbortSignal
}

interface Site {
  folder: string
  home: string
  cwd: string
}

type Answers = Pick<InitRequest, 'start' | 'passphrase' | 'makeLoginKey'>

export const initCommand = defineCommand<InitArgs>({
  command: 'init [dir]',
  describe: 'Start a cluster: cluster file, secret key, .gitignore',
  builder: (cli) =>
    cli
      .positional('dir', { type: 'string', default: '.', describe: 'Folder to start in' })
      .option('template', { choices: templateNames(), describe: `What to start from (default: ${PLAIN})` })
      .option('name', { type: 'string', nargs: 1, describe: "The cluster's name (default: the folder's)" })
      .option('nodes', {
        type: 'string',
        nargs: 1,
        describe: `${PLAIN}: how many, or their names: 5, or oneil,carter`,
      })
      .option('model', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: `${PLAIN}: the board of all, or once for each node`,
      })
      .option('user', { type: 'string', nargs: 1, describe: 'Login name on the nodes' })
      .option('ssh-key', {
        type: 'string',
        nargs: 1,
        describe: 'Who may log in: a public key or its file, or "new" (default: yours in ~/.ssh)',
      })
      .option('password', {
        type: 'boolean',
        default: false,
        describe: 'Log in with a password, which is asked for',
      })
      .option('wifi', { type: 'string', nargs: 1, describe: "The Wi-Fi network's name, if a node uses one" })
      .option('wifi-country', { type: 'string', nargs: 1, describe: 'Country whose radio rules apply: DE' })
      .option('wifi-passphrase-file', {
        type: 'string',
        nargs: 1,
        describe: `File with the pass phrase (default: ${PASSPHRASE_FILE})`,
      })
      .example('$0 init home', 'Asks what you have')
      .example('$0 init home --nodes 5 --model pi5 --yes', 'Asks nothing: pi1 to pi5')
      .example('$0 init sgc --template clusterhat', 'One of the five stories'),
  async run(args, context) {
    const { world, output } = context
    const site = { folder: resolve(world.cwd, args.dir), home: world.env.HOME ?? homedir(), cwd: world.cwd }
    const shown = (name: string): string => relative(world.cwd, join(site.folder, name))
    let answers: Answers = {}
    if (hasClusterFile(site.folder))
      output.note(`${shown('cluster.yaml')} is there already and stays as it is`)
    else answers = await askAll(args, site, context)
    const { made, next } = await initCluster({ ...site, ...answers })

    for (const name of made) output.print(`made ${shown(name)}`)
    if (made.length === 0) output.print(`${args.dir} has everything already`)
    output.note('Keep cluster.key safe and out of git: every secret of the cluster is derived from it.')
    if (next.length > 0) {
      const enter = site.folder === world.cwd ? [] : [`cd ${relative(world.cwd, site.folder)}`]
      output.note('Look through cluster.yaml, then:')
      for (const line of [...enter, ...next]) output.note(`  ${line}`)
    }
    return { made: made.map((name) => join(site.folder, name)), next }
  },
})

async function askAll(args: GlobalArgs & InitArgs, site: Site, { world, output }: Context): Promise<Answers> {
  const asker: Asker = {
    ask: args.yes ? async () => undefined : world.ask,
    complain: ({ message, hint }) =>
      output.noteText([message, ...(hint === undefined ? [] : [`  ${hint}`])].map(quoteLine).join('\n')),
    signal: world.signal,
  }
  const template = readTemplate(args.template ?? (await askTemplate(asker)))
  if (template.name !== PLAIN && (args.nodes !== undefined || args.model.length > 0))
    throw new UsageError(`--nodes and --model belong to the template ${PLAIN}`, {
      hint: `Edit the nodes of ${template.name} in cluster.yaml`,
    })
  const cluster = checked('--name', args.name ?? nameOfFolder(site.folder) ?? template.name, 'host-name')
  const user = args.user === undefined ? undefined : checked('--user', args.user, 'user-name')
  const nodes = template.name === PLAIN ? await chooseNodes(args, asker) : undefined
  const login = await chooseLogin(args, template, site, asker)
  const wantsWifi = nodes && (args.wifi !== undefined || nodes.some(({ model }) => !boards[model].ethernet))
  const { wifi, passphrase } = await chooseWifi(
    args,
    template.wifi ?? (wantsWifi ? { country: DEFAULT_COUNTRY } : undefined),
    site,
    asker,
  )
  const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const values: Omit<TemplateValues, 'schema'> = {
    cluster,
    user,
    sshKey: login.sshKey,
    passwordHash: login.passwordHash,
    wifi,
    nodes,
    image: nodes && (await chooseImage(args, nodes, world)),
    timezone: nodes && formats.timezone?.(timezone) === undefined ? timezone : undefined,
  }
  return { start: { template, values }, passphrase, makeLoginKey: login.sshKey === `${LOGIN_KEY_FILE}.pub` }
}

/**
 * Ask until the answer will do. An empty answer is the preset; `unasked` is
 * what holds where there is no terminal to ask on.
 * @throws {UsageError} what `read` has against the preset, there
 */
async function askUntil<T>(
  { ask, complain, signal }: Asker,
  question: string,
  preset: string,
  read: (answer: string) => T,
  unasked: () => T = () => read(preset),
): Promise<T> {
  for (;;) {
    const answer = await ask(question)
    signal.throwIfAborted()
    if (answer === undefined) return unasked()
    try {
      return read(answer.trim() === '' ? preset : answer.trim())
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      complain(error)
    }
  }
}

async function askTemplate(asker: Asker): Promise<string> {
  const names = templateNames()
  // What most have comes first, and what is only looked at last.
  const offered = [PLAIN, ...names.filter((name) => name !== PLAIN && name !== DEMO), DEMO]
  const menu = offered
    .map((name, index) => `  ${index + 1}  ${readTemplate(name).purpose} (${name})`)
    .join('\n')
  return askUntil(asker, `What do you have?\n${menu}\nNumber or name [1]: `, '1', (answer) => {
    const name = offered[Number(answer) - 1] ?? answer
    if (names.includes(name)) return name
    throw new UsageError(
      `${JSON.stringify(answer)} is neither a number from 1 to ${offered.length} nor a template`,
      {
        hint: `Templates: ${names.join(', ')}`,
      },
    )
  })
}

async function chooseNodes(args: InitArgs, asker: Asker): Promise<{ name: string; model: Model }[]> {
  const names =
    args.nodes === undefined
      ? await askUntil(
          asker,
          `How many boards, or their names [${DEFAULT_COUNT}]: `,
          String(DEFAULT_COUNT),
          (answer) => readNames(answer),
        )
      : readNames(args.nodes, '--nodes ')
  const models =
    args.model.length > 0
      ? readModels(args.model, names.length, '--model ')
      : await askUntil(
          asker,
          `Which board? One for all, or one for each (pi5, pi4, zero2w …) [${DEFAULT_MODEL}]: `,
          DEFAULT_MODEL,
          (answer) => readModels(answer.split(/[\s,]+/), names.length),
        )
  return names.map((name, index) => ({ name, model: models[index] ?? models[0] ?? DEFAULT_MODEL }))
}

/** The newest that all of the boards run. */
async function chooseImage(
  { cluster, lock }: GlobalArgs,
  nodes: readonly { model: Model }[],
  world: World,
): Promise<string | undefined> {
  const { images } = await readLocks({ cluster, lock }, world)
  const all64 = nodes.every(({ model }) => boards[model].kernel.arm64 !== undefined)
  return newestLite(images, all64 ? 'arm64' : 'armhf')
}

interface Login {
  /** As the cluster file names it: a key line, a file, or somebody's keys elsewhere. */
  sshKey?: string
  passwordHash?: string
}

async function chooseLogin(args: InitArgs, { name }: Template, site: Site, asker: Asker): Promise<Login> {
  const given = args['ssh-key']
  if (args.password) {
    if (given !== undefined) throw new UsageError('--password and --ssh-key exclude each other')
    return { passwordHash: await askPassword(asker) }
  }
  if (given !== undefined) return { sshKey: readSshKey(given, site, '--ssh-key: ') }
  const own = ['id_ed25519.pub', 'id_ecdsa.pub', 'id_rsa.pub']
    .map((file) => join(site.home, '.ssh', file))
    .find((path) => existsSync(path))
  const preset = own === undefined ? '' : fromFolder(own, site.folder, site.home)
  // The demo is only looked at: a person's key is taken where there is one, and not asked for.
  if (name === DEMO) return { sshKey: preset === '' ? undefined : preset }
  const shown = preset === '' ? 'new' : preset
  const answer = await askUntil(
    asker,
    `Who may log in? A public key or its file, "new" for a key of its own, or "password" [${shown}]: `,
    shown,
    (text) => (text === 'password' ? text : readSshKey(text, site)),
    () => {
      if (preset === '') throw noKey(site)
      return preset
    },
  )
  return answer === 'password' ? { passwordHash: await askPassword(asker) } : { sshKey: answer }
}

const noKey = ({ home }: Site): UsageError =>
  new UsageError(`no public SSH key in ${join(home, '.ssh')}`, {
    hint: 'Make one with ssh-keygen -t ed25519, name one with --ssh-key FILE, or say --ssh-key new',
  })

function readSshKey(answer: string, { folder, home, cwd }: Site, flag = ''): string {
  if (answer === 'new') return `${LOGIN_KEY_FILE}.pub`
  if (/^(ssh|ecdsa|sk)-\S+ /.test(answer) || /^(?:github|gh):/.test(answer)) return answer
  const path = resolve(cwd, expandHome(answer, home))
  const hint = 'Name the public half, the file that ends in .pub'
  if (!existsSync(path)) throw new UsageError(`${flag}there is no file ${answer}`, { hint })
  if (readInputText(path).includes('PRIVATE KEY-----'))
    throw new UsageError(`${flag}${answer} is a private key`, { hint })
  return fromFolder(path, folder, home)
}

async function askPassword({ ask, complain, signal }: Asker): Promise<string> {
  for (;;) {
    const password = await ask('Password for the nodes: ', { hidden: true })
    signal.throwIfAborted()
    if (password === undefined)
      throw new UsageError('a password is asked for, and there is no terminal to ask on', {
        hint: 'Give --ssh-key FILE, or write user.passwordFile into cluster.yaml',
      })
    if (password.length < 8) complain(new UsageError('the password is shorter than 8 characters'))
    else if ((await ask('Once more: ', { hidden: true })) !== password)
      complain(new UsageError('the two are not the same'))
    else return sha512crypt(password, makeSalt())
  }
}

const makeSalt = (): string =>
  [...randomBytes(SALT_LENGTH)].map((byte) => cryptAlphabet[byte % cryptAlphabet.length]).join('')

type Wifi = TemplateValues['wifi']

async function chooseWifi(
  args: InitArgs,
  preset: Template['wifi'],
  { folder, home, cwd }: Site,
  asker: Asker,
): Promise<{ wifi: Wifi; passphrase?: string }> {
  if (preset === undefined) return { wifi: undefined }
  const ssid =
    args.wifi === undefined
      ? await askUntil(asker, 'Wi-Fi network: ', '', (answer) => {
          if (answer === '')
            throw new UsageError(
              'a node here has no Ethernet or uses Wi-Fi, and the network has no name yet',
              {
                hint: 'Name it with --wifi SSID',
              },
            )
          return checked('Wi-Fi network', answer, 'ssid')
        })
      : checked('--wifi', args.wifi, 'ssid')
  const country =
    args['wifi-country'] === undefined
      ? await askUntil(
          asker,
          `Country whose radio rules apply [${preset.country}]: `,
          preset.country,
          (answer) => checked('country', answer.toUpperCase(), 'country'),
        )
      : checked('--wifi-country', args['wifi-country'], 'country')
  const settings = { ssid, country, passphraseFile: PASSPHRASE_FILE }
  const given = args['wifi-passphrase-file']
  if (given !== undefined) {
    const path = resolve(cwd, expandHome(given, home))
    if (existsSync(path)) return { wifi: { ...settings, passphraseFile: fromFolder(path, folder, home) } }
    throw new UsageError(`--wifi-passphrase-file: there is no file ${given}`, {
      hint: 'Write the pass phrase on its first line, and run chmod 600 on it',
    })
  }
  if (existsSync(join(folder, PASSPHRASE_FILE))) return { wifi: settings }
  for (;;) {
    const passphrase = await asker.ask(`Pass phrase of ${ssid}: `, { hidden: true })
    asker.signal.throwIfAborted()
    if (passphrase === undefined)
      throw new UsageError(`the pass phrase of ${ssid} is asked for, and there is no terminal to ask on`, {
        hint: 'Name a file that holds it with --wifi-passphrase-file FILE (mode 0600)',
      })
    const complaint = formats.passphrase?.(passphrase)
    if (complaint === undefined) return { wifi: settings, passphrase }
    asker.complain(new UsageError(`the pass phrase ${complaint.problem}`, { hint: complaint.hint }))
  }
}
