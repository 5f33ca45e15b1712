/**
 * The questions of `init`, each with its flag beside it: what no flag says is
 * asked, else guessed. A wrong answer is asked again; a wrong flag, or what can't
 * be guessed where nobody is there to ask, is an error that names the flag.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { LockedImage } from '../catalog/locked-image.ts'
import { newestLite, newestNamed } from '../catalog/short-names.ts'
import { boards, DEFAULT_MODEL, type Model } from '../cluster/boards.ts'
import { formats } from '../cluster/formats.ts'
import { UsageError } from '../errors.ts'
import { readInputText } from '../io/input-file.ts'
import { expandHome, fromFolder } from '../io/portable-path.ts'
import { nearestNames } from '../nearest.ts'
import { cryptAlphabet, sha512crypt } from '../secrets/sha512crypt.ts'
import { formatBytes } from '../units.ts'
import type { World } from '../world.ts'
import type { Caller } from './caller.ts'
import { type InitRequest, LOGIN_KEY_FILE, PASSPHRASE_FILE } from './init.ts'
import { checked, readModels, readNames, wordsOfBoards } from './init-answers.ts'
import { readLocks } from './project.ts'
import type { ClusterRequest } from './request.ts'
import { DEMO, PLAIN, type Template, type TemplateValues, templateNames } from './template.ts'

/** What the flags say. */
export interface InitFlags {
  nodes?: string
  model: string[]
  image?: string
  'ssh-key'?: string
  password: boolean
  wifi?: string
  'wifi-country'?: string
  'wifi-passphrase-file'?: string
}

export const DEFAULT_COUNT = 3
/** Where the templates' Wi-Fi is, too. */
export const DEFAULT_COUNTRY = 'DE'
const SALT_LENGTH = 16

/** What a question is about. */
export type InitField =
  | 'template'
  | 'nodes'
  | 'models'
  | 'image'
  | 'login'
  | 'password'
  | 'again'
  | 'ssid'
  | 'country'
  | 'passphrase'

export interface Asker {
  ask: (question: string, options: { hidden?: boolean }, field: InitField) => ReturnType<World['ask']>
  /** Say why an answer will not do. */
  complain: (error: UsageError) => void
  signal: AbortSignal
}

export interface Site {
  /** Of the new cluster, absolute. */
  folder: string
  /** What `~/` stands for. */
  home: string
  /** What relative paths start from. */
  cwd: string
}

/**
 * Ask until the answer will do. An empty answer is the preset; `unasked` is
 * what holds where there is no terminal to ask on.
 * @throws {UsageError} what `read` has against the preset, there
 */
export async function askUntil<T>(
  { ask, complain, signal }: Asker,
  field: InitField,
  question: string,
  preset: string,
  read: (answer: string) => T,
  unasked: () => T = () => read(preset),
): Promise<T> {
  for (;;) {
    const answer = await ask(question, {}, field)
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

/** What most have comes first, and what is only looked at last. */
export const offeredTemplates = (): string[] => [
  PLAIN,
  ...templateNames().filter((name) => name !== PLAIN && name !== DEMO),
  DEMO,
]

/** A number of the menu, or a name. */
export function readTemplateName(answer: string): string {
  const offered = offeredTemplates()
  const name = offered[Number(answer) - 1] ?? answer
  if (offered.includes(name)) return name
  throw new UsageError(
    `${JSON.stringify(answer)} is neither a number from 1 to ${offered.length} nor a template`,
    { hint: `Templates: ${templateNames().join(', ')}` },
  )
}

/** Everything but the template and the names, in the order in which it is asked. */
export async function chooseStart(
  names: { template: Template; cluster: string; user?: string },
  flags: InitFlags,
  site: Site,
  request: ClusterRequest,
  caller: Caller,
  asker: Asker,
): Promise<Omit<InitRequest, 'folder' | 'home'>> {
  const { template, cluster, user } = names
  const nodes = template.name === PLAIN ? await chooseNodes(flags, asker) : undefined
  const image = nodes && (await chooseImage(flags, nodes, site, request, caller, asker))
  const login = await chooseLogin(flags, template, site, asker)
  const radio = nodes?.some(({ model }) => boards[model].wifi) ? { country: DEFAULT_COUNTRY } : undefined
  const { wifi, passphrase } = await chooseWifi(
    flags,
    template.wifi ?? radio,
    nodes?.some(({ model }) => !boards[model].ethernet) ?? true,
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
    image: image?.key,
    timezone: nodes && formats.timezone?.(timezone) === undefined ? timezone : undefined,
  }
  return {
    start: { template, values },
    passphrase,
    makeLoginKey: login.sshKey === `${LOGIN_KEY_FILE}.pub`,
    image: image?.own,
  }
}

async function chooseNodes(flags: InitFlags, asker: Asker): Promise<{ name: string; model: Model }[]> {
  const names =
    flags.nodes === undefined
      ? await askUntil(
          asker,
          'nodes',
          `How many boards, or their names [${DEFAULT_COUNT}]: `,
          String(DEFAULT_COUNT),
          (answer) => readNames(answer),
        )
      : readNames(flags.nodes, '--nodes ')
  const models =
    flags.model.length > 0
      ? readModels(flags.model, names.length, '--model ')
      : await askUntil(
          asker,
          'models',
          `Which board? One for all, or one for each (pi5, pi4, zero2w …) [${DEFAULT_MODEL}]: `,
          DEFAULT_MODEL,
          (answer) => readModels(wordsOfBoards(answer), names.length),
        )
  return names.map((name, index) => ({ name, model: models[index] ?? models[0] ?? DEFAULT_MODEL }))
}

/**
 * The newest that all of the boards run, another of the lock, or a file of the
 * person's own; `own` is then to go into the lock.
 */
async function chooseImage(
  { image }: InitFlags,
  nodes: readonly { model: Model }[],
  site: Site,
  request: ClusterRequest,
  caller: Caller,
  asker: Asker,
): Promise<{ key?: string; own?: LockedImage }> {
  const { images } = await readLocks(request, caller)
  const all64 = nodes.every(({ model }) => boards[model].kernel.arm64 !== undefined)
  const newest = newestLite(images, all64 ? 'arm64' : 'armhf')
  const read = (answer: string, flag = ''): { key: string } | { path: string } => {
    const path = resolve(site.cwd, expandHome(answer, site.home))
    const key = images.has(answer) ? answer : newestNamed(images, answer)
    if (key !== undefined) return { key }
    const info = statSync(path, { throwIfNoEntry: false })
    if (info?.isFile()) return { path }
    if (info !== undefined)
      throw new UsageError(`${flag}${answer} is ${info.isDirectory() ? 'a folder' : 'not a plain file'}`, {
        hint: 'Name the image file itself.',
      })
    const near = nearestNames(answer, images.keys())
    throw new UsageError(`${flag}there is neither a file nor a known image called ${answer}`, {
      hint: near.length > 0 ? `Did you mean ${near.join(' or ')}?` : 'piimage images list shows the images',
    })
  }
  const size = images.get(newest ?? '')?.download.size
  const chosen =
    image !== undefined
      ? read(image, '--image: ')
      : await askUntil(
          asker,
          'image',
          `Which image? The path of one that you have, or Enter for ${newest}${size ? `, a download of ${formatBytes(size)}` : ''}: `,
          newest ?? '',
          (answer) => read(answer),
          () => (newest === undefined ? undefined : { key: newest }),
        )
  if (chosen === undefined || 'key' in chosen) return { key: chosen?.key }
  const { describeImage } = await import('./images.ts')
  const own = await describeImage({ ...request, url: chosen.path }, caller)
  return { key: own.key, own }
}

interface Login {
  /** As the cluster file names it: a key line, a file, or somebody's keys elsewhere. */
  sshKey?: string
  passwordHash?: string
}

async function chooseLogin(flags: InitFlags, { name }: Template, site: Site, asker: Asker): Promise<Login> {
  const given = flags['ssh-key']
  if (flags.password) {
    if (given !== undefined) throw new UsageError('--password and --ssh-key exclude each other')
    return { passwordHash: await askPassword(asker) }
  }
  if (given !== undefined) return { sshKey: readSshKey(given, site, '--ssh-key: ') }
  const preset = ownKey(site) ?? ''
  // The demo is only looked at: a person's key is taken where there is one, and not asked for.
  if (name === DEMO) return { sshKey: preset === '' ? undefined : preset }
  const shown = preset === '' ? 'new' : preset
  const answer = await askUntil(
    asker,
    'login',
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

/** The person's own public key, as the cluster file names it. */
export function ownKey({ folder, home }: Site): string | undefined {
  const own = ['id_ed25519.pub', 'id_ecdsa.pub', 'id_rsa.pub']
    .map((file) => join(home, '.ssh', file))
    .find((path) => existsSync(path))
  return own === undefined ? undefined : fromFolder(own, folder, home)
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
    const password = await ask('Password for the nodes: ', { hidden: true }, 'password')
    signal.throwIfAborted()
    if (password === undefined)
      throw new UsageError('a password is asked for, and there is no terminal to ask on', {
        hint: 'Give --ssh-key FILE, or write user.passwordFile into cluster.yaml',
      })
    if (password.length < 8) complain(new UsageError('the password is shorter than 8 characters'))
    else if ((await ask('Once more: ', { hidden: true }, 'again')) !== password)
      complain(new UsageError('the two are not the same'))
    else return sha512crypt(password, makeSalt())
  }
}

const makeSalt = (): string =>
  [...randomBytes(SALT_LENGTH)].map((byte) => cryptAlphabet[byte % cryptAlphabet.length]).join('')

type Wifi = TemplateValues['wifi']

/**
 * @param preset undefined: no node has Wi-Fi
 * @param needed a node has nothing else
 */
async function chooseWifi(
  flags: InitFlags,
  preset: Template['wifi'],
  needed: boolean,
  { folder, home, cwd }: Site,
  asker: Asker,
): Promise<{ wifi: Wifi; passphrase?: string }> {
  if (preset === undefined) return { wifi: undefined }
  const ssid =
    flags.wifi === undefined
      ? await askUntil(
          asker,
          'ssid',
          needed ? 'Wi-Fi network: ' : 'Wi-Fi network, or Enter for none: they are on a cable: ',
          '',
          (answer) => {
            if (answer === '' && !needed) return undefined
            if (answer !== '') return checked('Wi-Fi network', answer, 'ssid')
            throw new UsageError(
              'a node here has no Ethernet or uses Wi-Fi, and the network has no name yet',
              { hint: 'Name it with --wifi SSID' },
            )
          },
        )
      : checked('--wifi', flags.wifi, 'ssid')
  if (ssid === undefined) return { wifi: undefined }
  const country =
    flags['wifi-country'] === undefined
      ? await askUntil(
          asker,
          'country',
          `Country whose radio rules apply [${preset.country}]: `,
          preset.country,
          (answer) => checked('country', answer.toUpperCase(), 'country'),
        )
      : checked('--wifi-country', flags['wifi-country'], 'country')
  const settings = { ssid, country, passphraseFile: PASSPHRASE_FILE }
  const given = flags['wifi-passphrase-file']
  if (given !== undefined) {
    const path = resolve(cwd, expandHome(given, home))
    if (existsSync(path)) return { wifi: { ...settings, passphraseFile: fromFolder(path, folder, home) } }
    throw new UsageError(`--wifi-passphrase-file: there is no file ${given}`, {
      hint: 'Write the pass phrase on its first line, and run chmod 600 on it',
    })
  }
  if (existsSync(join(folder, PASSPHRASE_FILE))) return { wifi: settings }
  for (;;) {
    const passphrase = await asker.ask(`Pass phrase of ${ssid}: `, { hidden: true }, 'passphrase')
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
