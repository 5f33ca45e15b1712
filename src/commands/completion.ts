/** `piimage completion`: shell scripts made from the commands' own list, so they can't go stale. */
import { UsageError } from '../errors.ts'
import { defineCommand } from './command.ts'
import { commands } from './list.ts'

interface CompletionArgs {
  shell: string
}

const names = (): string => commands.map((entry) => entry.name).join(' ')

const scripts: Record<string, () => string> = {
  bash: () => `_piimage() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${names()}" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _piimage piimage`,
  zsh: () => `#compdef piimage
_piimage() {
  if (( CURRENT == 2 )); then
    local -a verbs=(
${commands.map((entry) => `      '${entry.name}:${entry.describe.replaceAll("'", "'\\''")}'`).join('\n')}
    )
    _describe command verbs
  else
    _files
  fi
}
compdef _piimage piimage`,
  fish: () =>
    commands
      .map((entry) => {
        const what = entry.describe.replaceAll("'", "\\'")
        return `complete -c piimage -n __fish_use_subcommand -f -a ${entry.name} -d '${what}'`
      })
      .join('\n'),
}

export const completionCommand = defineCommand<CompletionArgs>({
  command: 'completion <shell>',
  describe: 'Print a completion script for bash, zsh or fish',
  builder: (cli) =>
    cli
      .positional('shell', { type: 'string', demandOption: true, describe: 'bash, zsh or fish' })
      .example('source <($0 completion bash)', 'For this shell'),
  async run(args, { output }) {
    const script = scripts[args.shell]
    if (script === undefined) {
      throw new UsageError(`no completion for "${args.shell}"`, {
        hint: `There is one for ${Object.keys(scripts).join(', ')}`,
      })
    }
    output.printFile(script())
    return { script: script() }
  },
})
