/** One networked step on a Pi made of folders, with stand-ins for apt and Docker. */
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import {
  calls,
  type Ended,
  type FakePi,
  type FakePiOptions,
  fakePi,
  install,
  lay,
  runOnPi,
  stub,
} from './fake-pi.ts'

export const note = (pi: FakePi): string =>
  `printf '%s %s\\n' "\${0##*/}" "$*" >>'${join(pi.folder, 'calls')}'`

export interface System {
  /** As uname -m says it. */
  cpu: string
  /** As dpkg says it. */
  architecture: string
  id: string
  codename: string
}

export const zero: System = { cpu: 'armv6l', architecture: 'armhf', id: 'raspbian', codename: 'bookworm' }
export const pi4: System = { cpu: 'aarch64', architecture: 'arm64', id: 'debian', codename: 'bookworm' }

/** A Pi whose payload is installed, no step run; apt does nothing and succeeds. */
export function readyPi(
  t: TestContext,
  system: System = pi4,
  options: FakePiOptions = {},
): FakePi | undefined {
  const pi = fakePi(t, { earlySteps: [], ...options })
  if (pi === undefined) return undefined
  lay(pi.root, {
    'etc/os-release': `ID=${system.id}\nVERSION_CODENAME=${system.codename}\n`,
    'sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory pids\n',
  })
  install(pi)
  stub(pi, 'uname', `echo ${system.cpu}`)
  stub(pi, 'dpkg', `${note(pi)}; case $1 in --print-architecture) echo ${system.architecture} ;; esac`)
  stub(pi, 'apt-get', note(pi))
  stub(pi, 'apt-cache', ':')
  stub(pi, 'df', "echo; echo 'x 1 1 900000 1% /var'")
  return pi
}

export function runStep(pi: FakePi, name: string, env: Record<string, string> = {}): Ended {
  // busybox runs applets of its own for these, whatever PATH says; a function goes before them.
  const functions = ['uname', 'dpkg', 'df', 'sleep', 'ip', 'modprobe', 'sysctl', 'swapoff'].map(
    (tool) =>
      `${tool}() { if [ -x '${pi.bin}/${tool}' ]; then '${pi.bin}/${tool}' "$@"; else command ${tool} "$@"; fi; }\n`,
  )
  const script = join(packageRoot(), `firstboot/steps/${name}.sh`)
  lay(pi.folder, { 'step.sh': `${functions.join('')}. '${script}'\n` })
  return runOnPi(pi, join(pi.folder, 'step.sh'), {
    PIIMAGE_LIB: join(pi.root, 'opt/piimage/lib.sh'),
    PIIMAGE_NODE: 'oneil',
    PIIMAGE_USER: 'ops',
    ...env,
  })
}

/** What apt-get was asked, without the options that are always there. */
export const aptCalls = (pi: FakePi): string[] =>
  calls(pi)
    .filter((call) => call.startsWith('apt-get '))
    .map((call) => call.replace(/^apt-get .*--force-confold /, ''))

/** A program that installing a package brings. */
export const bringsProgram = (pi: FakePi, packageName: string, ...programs: string[]): string =>
  programs
    .map(
      (name) =>
        `case " $* " in *" ${packageName} "*) printf '#!/bin/sh\\n' >'${pi.bin}/${name}'; chmod 755 '${pi.bin}/${name}' ;; esac`,
    )
    .join('\n')

/** The environment of a step on a Pi that has come up, so that it starts its services: those are stand-ins. */
export function runningLib(pi: FakePi): Record<string, string> {
  const lib = join(pi.root, 'opt/piimage/lib.sh')
  lay(pi.folder, { 'running-lib.sh': `. '${lib}'\nis_running() { return 0; }\n` })
  return { PIIMAGE_LIB: join(pi.folder, 'running-lib.sh') }
}

export interface StepPi {
  pi: FakePi
  /** Run the step, once more. */
  step(env?: Record<string, string>): Ended
}

export interface StepNeeds extends Pick<FakePiOptions, 'shell'> {
  system?: System
  /** What overlay and materials lay on the card, below the root. */
  files: Record<string, string>
  /** Stand-ins; `note` is written by each first. */
  programs?: Record<string, string>
  env: Record<string, string>
  /** The system has come up. */
  running?: true
}

/** A Pi on which everything that one step needs lies ready; undefined after the test was skipped. */
export function stepPi(t: TestContext, name: string, needs: StepNeeds): StepPi | undefined {
  const pi = readyPi(t, needs.system, needs.shell === undefined ? {} : { shell: needs.shell })
  if (pi === undefined) return undefined
  lay(pi.root, needs.files)
  for (const [program, script] of Object.entries(needs.programs ?? {}))
    stub(pi, program, `${note(pi)}; ${script}`)
  const env = { ...(needs.running ? runningLib(pi) : {}), ...needs.env }
  return { pi, step: (more = {}) => runStep(pi, name, { ...env, ...more }) }
}

/** `apt-helper download-file URL TARGET` gives the file `served` of the root, and is noted. */
export function serveDownloads(pi: FakePi, content: string): void {
  const folder = join(pi.root, 'usr/lib/apt')
  lay(pi.root, { served: content, 'usr/lib/apt/.there': '' })
  stub(pi, 'apt-helper', `${note(pi)}; cp '${pi.root}/served' "$3"`)
  stub({ ...pi, bin: folder }, 'apt-helper', `exec '${pi.bin}/apt-helper' "$@"`)
}
