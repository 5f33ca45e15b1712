/**
 * `piimage init`: a cluster file from a template, the cluster's secret key, and
 * a .gitignore that keeps the key out of git. Never overwrites: in a folder
 * that has a cluster file already it adds what is missing.
 */
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, open, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join, relative, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { UsageError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { packageRoot } from '../package-root.ts'
import { createClusterKey } from '../secrets/cluster-key.ts'
import type { World } from '../world.ts'
import { type Context, defineCommand } from './command.ts'
import { CLUSTER_KEY_FILE } from './support/project.ts'

interface InitArgs {
  dir: string
  template: string
  name?: string
  user?: string
  'ssh-key'?: string
}

export const initCommand = defineCommand<InitArgs>({
  command: 'init [dir]',
  describe: 'Start a cluster: cluster file, secret key, .gitignore',
  builder: (cli) =>
    cli
      .positional('dir', { type: 'string', default: '.', describe: 'Folder to start in' })
      .option('template', { choices: templateNames(), default: 'demo', describe: 'What to start from' })
      .option('name', { type: 'string', nargs: 1, describe: "The cluster's name (default: the folder's)" })
      .option('user', { type: 'string', nargs: 1, describe: 'Login name on the nodes' })
      .option('ssh-key', { type: 'string', nargs: 1, describe: 'Public key file that may log in' })
      .example('$0 init sgc --template clusterhat', 'A folder sgc with everything to edit and flash'),
  async run(args, context) {
    const folder = resolve(context.world.cwd, args.dir)
    await mkdir(folder, { recursive: true })
    const made: string[] = []
    const file = join(folder, 'cluster.yaml')
    if (!existsSync(file)) {
      const name =
        args.name ??
        basename(folder)
          .toLowerCase()
          .replace(/[^a-z0-9-]+/g, '-')
      await writeFileAtomically(file, await fillTemplate(args, name, context))
      made.push(file)
    }
    const key = join(folder, CLUSTER_KEY_FILE)
    if (!existsSync(key)) {
      await createClusterKey(key)
      made.push(key)
    }
    const ignored = join(folder, '.gitignore')
    if (await addLine(ignored, CLUSTER_KEY_FILE)) made.push(ignored)
    for (const path of made) context.output.print(`made ${relative(context.world.cwd, path)}`)
    if (made.length === 0) context.output.print(`${args.dir} has everything already`)
    context.output.note(
      `Keep ${CLUSTER_KEY_FILE} safe and out of git: every secret of the cluster is derived from it.`,
    )
    return { made }
  },
})

const templatesFolder = (): string => join(packageRoot(), 'examples')

const templateNames = (): string[] =>
  readdirSync(templatesFolder(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(templatesFolder(), entry.name, 'cluster.yaml')))
    .map((entry) => entry.name)
    .sort()

/** The template with this person's name, login and key in it; its comments stay. */
async function fillTemplate(args: InitArgs, name: string, context: Context): Promise<string> {
  const document = parseDocument(
    await readFile(join(templatesFolder(), args.template, 'cluster.yaml'), 'utf8'),
  )
  document.set('cluster', name)
  if (args.template === 'demo' && args.user === undefined && args['ssh-key'] === undefined)
    return String(document)
  const user = args.user ?? (await context.world.ask('Login name on the nodes [ops]: ')) ?? ''
  document.setIn(['user', 'name'], user === '' ? 'ops' : user)
  document.setIn(['user', 'sshKeys'], [args['ssh-key'] ?? (await findSshKey(context.world))])
  return String(document)
}

/** The person's own public key, as written in a cluster file. */
async function findSshKey(world: World): Promise<string> {
  const home = world.env.HOME ?? homedir()
  for (const name of ['id_ed25519.pub', 'id_ecdsa.pub', 'id_rsa.pub']) {
    if (existsSync(join(home, '.ssh', name))) return `~/.ssh/${name}`
  }
  const answer = await world.ask('Public key file that may log in: ')
  if (answer !== undefined && answer !== '') return answer
  throw new UsageError(`no public SSH key in ${join(home, '.ssh')}`, {
    hint: 'Make one with ssh-keygen -t ed25519, or name one with --ssh-key FILE',
  })
}

/** @returns whether the line was not there yet */
async function addLine(path: string, line: string): Promise<boolean> {
  const text = existsSync(path) ? await readFile(path, 'utf8') : ''
  if (text.split('\n').includes(line)) return false
  const handle = await open(path, 'a')
  try {
    await handle.writeFile(`${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`)
  } finally {
    await handle.close()
  }
  return true
}
