/** Every command, in the order `--help` shows them; a command's code is loaded only when it runs. */
import type { CommandEntry } from './command.ts'

export const commands: readonly CommandEntry[] = [
  {
    name: 'init',
    describe: 'Start a cluster: cluster file, secret key, .gitignore',
    load: async () => (await import('./init.ts')).initCommand,
  },
  {
    name: 'images',
    describe: 'The pinned images and the cache: list, lock, fetch, verify, prune',
    load: async () => (await import('./images.ts')).imagesCommand,
  },
  {
    name: 'drives',
    describe: 'List the drives, and which of them piimage would write to',
    load: async () => (await import('./drives.ts')).drivesCommand,
  },
  {
    name: 'plan',
    describe: 'Show every file that would change on a card, as a diff',
    load: async () => (await import('./plan.ts')).planCommand,
  },
  {
    name: 'boot',
    describe: 'Start nodes or images in QEMU before any card is written, and ask who they are',
    load: async () => (await import('./boot.ts')).bootCommand,
  },
  {
    name: 'flash',
    describe: 'Write nodes to their cards, and read the cards back',
    load: async () => (await import('./flash.ts')).flashCommand,
  },
  {
    name: 'station',
    describe: 'A page on which cards are made, for this machine or its network',
    load: async () => (await import('./station.ts')).stationCommand,
  },
  {
    name: 'customise',
    describe: 'Make a card or an image another node, without writing it anew',
    load: async () => (await import('./customise.ts')).customiseCommand,
  },
  {
    name: 'bake',
    describe: 'Write nodes to image files for releases or other tools',
    load: async () => (await import('./bake.ts')).bakeCommand,
  },
  {
    name: 'inspect',
    describe: 'Say what is on a card or in an image; --check compares with the plan',
    load: async () => (await import('./inspect.ts')).inspectCommand,
  },
  {
    name: 'netroot',
    describe: 'Nodes without cards: lay out what they boot from, and serve it',
    load: async () => (await import('./netroot.ts')).netrootCommand,
  },
  {
    name: 'status',
    describe: 'Ask the nodes over ssh how far they are',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  {
    name: 'join',
    describe: 'Bring nodes into their cluster from here, over ssh',
    load: async () => (await import('./join.ts')).joinCommand,
  },
  {
    name: 'export',
    describe: 'Files for ssh, Ansible, kubectl, /etc/hosts and the boards themselves',
    load: async () => (await import('./export.ts')).exportCommand,
  },
  {
    name: 'completion',
    describe: 'Print a completion script for bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completionOf(commands),
  },
]
