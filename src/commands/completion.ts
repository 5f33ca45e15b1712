/**
 * `piimage completion`: for each shell a short script that asks piimage itself
 * what may stand at the cursor, so that it can't go stale. `completion words`
 * is what the scripts call: a line for each candidate, with what it means behind
 * a tab; no line where a file name is wanted, which the shells know better.
 */
import { UsageError } from '../errors.ts'
import { quoteLine } from '../terminal-text.ts'
import { listCandidates } from './candidates.ts'
import { type CommandEntry, defineCommand } from './command.ts'

interface CompletionArgs {
  shell: string
}

/** In a shell's place: what the scripts ask. The command line so far stands behind `--`. */
const WORDS = 'words'

const scripts: Record<string, string> = {
  // bash breaks words at = @ and :, and wants only what comes behind the last of them.
  bash: `_piimage() {
  local line=\${COMP_LINE:0:COMP_POINT} last text
  local -a words
  read -ra words <<<"$line"
  case $line in *[[:space:]]) words+=("") ;; esac
  last=\${words[\${#words[@]}-1]}
  COMPREPLY=()
  while IFS=$'\\t' read -r text _; do
    COMPREPLY+=("\${text#"\${last%"\${last##*[=@:]}"}"}")
  done < <("\${words[0]}" completion ${WORDS} -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _piimage piimage`,
  zsh: `#compdef piimage
_piimage() {
  local -a candidates
  local text about
  while IFS=$'\\t' read -r text about; do
    candidates+=("\${text//:/\\\\:}\${about:+:$about}")
  done < <("\${words[1]}" completion ${WORDS} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#candidates} )); then _describe piimage candidates; else _files; fi
}
if [ "$funcstack[1]" = _piimage ]; then _piimage "$@"; else compdef _piimage piimage; fi`,
  fish: `function __piimage_candidates
  set -l words (commandline -opc) (commandline -ct)
  set -l candidates ($words[1] completion ${WORDS} -- $words[2..] 2>/dev/null)
  if test (count $candidates) -gt 0
    string join \\n -- $candidates
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c piimage -f -a '(__piimage_candidates)'`,
}

/** @param commands every command there is, itself included */
export const completionOf = (commands: readonly CommandEntry[]) =>
  defineCommand<CompletionArgs>({
    command: 'completion <shell>',
    describe: 'Print a completion script for bash, zsh or fish',
    builder: (cli) =>
      cli
        .positional('shell', { type: 'string', demandOption: true, describe: 'bash, zsh or fish' })
        .positional('word', {
          type: 'string',
          array: true,
          default: [],
          describe: `${WORDS}: the command line so far, after --`,
        })
        .example('source <($0 completion bash)', 'For this shell')
        .example('piimage completion fish > ~/.config/fish/completions/piimage.fish', 'For every fish'),
    async run(args, { output, world }) {
      if (args.shell === WORDS) {
        const [, ...words] = (args as unknown as { _: (string | number)[] })._.map(String)
        const candidates = await listCandidates(commands, words, world)
        const lines = candidates.map(({ text, about }) =>
          about === undefined ? quoteLine(text) : `${quoteLine(text)}\t${quoteLine(about)}`,
        )
        if (lines.length > 0) output.printFile(lines.join('\n'))
        return { candidates }
      }
      const script = scripts[args.shell]
      if (script === undefined) {
        throw new UsageError(`no completion for "${args.shell}"`, {
          hint: `There is one for ${Object.keys(scripts).join(', ')}`,
        })
      }
      output.printText(script)
      return { script }
    },
  })
