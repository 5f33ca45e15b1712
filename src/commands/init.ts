/** `piimage init`: words for what is chosen (../work/init-questions.ts) and for what was made. */
import { homedir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { UsageError } from '../errors.ts'
import { quoteLine } from '../terminal-text.ts'
import { hasClusterFile, type InitRequest, initCluster, PASSPHRASE_FILE } from '../work/init.ts'
import { checked, nameOfFolder } from '../work/init-answers.ts'
import {
  type Asker,
  askUntil,
  chooseStart,
  type InitFlags,
  offeredTemplates,
  readTemplateName,
  type Site,
} from '../work/init-questions.ts'
import { PLAIN, readTemplate, templateNames } from '../work/template.ts'
import { callerOf, common } from './caller.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'

interface InitArgs extends InitFlags {
  dir: string
  template?: string
  name?: string
  user?: string
}

type Answers = Omit<InitRequest, 'folder' | 'home'>

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
      .option('image', {
        type: 'string',
        nargs: 1,
        describe: `${PLAIN}: image file, or name from the lock (default: the newest that fits the boards)`,
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
      .example('$0 init home --image ~/Downloads/raspios.img.xz', 'With an image that you have already')
      .example('$0 init sgc --template clusterhat', 'One of the five stories'),
  async run(args, context) {
    const { world, output } = context
    const site = { folder: resolve(world.cwd, args.dir), home: world.env.HOME ?? homedir(), cwd: world.cwd }
    const shown = (name: string): string => relative(world.cwd, join(site.folder, name))
    let answers: Answers = {}
    if (hasClusterFile(site.folder))
      output.note(`${shown('cluster.yaml')} is there already and stays as it is`)
    else answers = await askAll(args, site, context)
    const { made, next } = await initCluster({ ...site, ...answers }, callerOf(args, context))

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

async function askAll(args: GlobalArgs & InitArgs, site: Site, context: Context): Promise<Answers> {
  const { world, output } = context
  const asker: Asker = {
    ask: args.yes ? async () => undefined : world.ask,
    complain: ({ message, hint }) =>
      output.noteText([message, ...(hint === undefined ? [] : [`  ${hint}`])].map(quoteLine).join('\n')),
    signal: world.signal,
  }
  const template = readTemplate(args.template ?? (await askTemplate(asker)))
  if (
    template.name !== PLAIN &&
    (args.nodes !== undefined || args.model.length > 0 || args.image !== undefined)
  )
    throw new UsageError(`--nodes, --model and --image belong to the template ${PLAIN}`, {
      hint: `Edit the nodes of ${template.name} in cluster.yaml`,
    })
  const cluster = checked('--name', args.name ?? nameOfFolder(site.folder) ?? template.name, 'host-name')
  const user = args.user === undefined ? undefined : checked('--user', args.user, 'user-name')
  const request = { ...common(args), cluster: join(site.folder, 'cluster.yaml') }
  const names = { template, cluster, user }
  const answers = await chooseStart(names, args, site, request, callerOf(args, context), asker)
  const { timezone } = answers.start?.values ?? {}
  if (timezone !== undefined)
    output.note(`Time zone ${timezone}, as this machine has it; locale: in cluster.yaml says another`)
  return answers
}

async function askTemplate(asker: Asker): Promise<string> {
  const menu = offeredTemplates()
    .map((name, index) => `  ${index + 1}  ${readTemplate(name).purpose} (${name})`)
    .join('\n')
  return askUntil(
    asker,
    'template',
    `What do you have?\n${menu}\nNumber or name [1]: `,
    '1',
    readTemplateName,
  )
}
