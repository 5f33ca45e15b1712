/**
 * Whether a card's first boot reaches its payload: what starts install.sh names
 * it where the boot partition is mounted, the system obeys that, and everything
 * install.sh reads is there.
 *
 * Source: firstboot/README.md; systemd-run-generator(8); cloud-init documentation,
 * "How to disable cloud-init".
 */
import { installedScript } from '../../boot/cmdline-txt.ts'
import { INSTALL, NODE_RECORD, PAYLOAD, PRESCRIPT } from '../../boot/payload-paths.ts'
import { PRESEED, preseedKeys } from '../../boot/preseed.ts'
import type { BootFolder } from '../../firmware/boot-selection.ts'
import type { RootFacts } from '../../root/root-facts.ts'
import type { Findings } from '../fault.ts'

const AGAIN = 'Plan it again: piimage customise or piimage flash.'

export interface FirstBoot {
  boot: BootFolder
  /** undefined: the root can't be read. */
  facts?: RootFacts
  /** Of the command line that the firmware hands over. */
  tokens: readonly string[]
  /** Where these tokens stand. */
  place: string
  findings: Findings
}

export async function checkFirstBoot(card: FirstBoot): Promise<void> {
  if ((await card.boot.read(NODE_RECORD)) === undefined) return
  await checkPayload(card)
  await checkSystem(card)
  await checkTrigger(card)
  await checkPreseed(card)
}

/** IDs of os-release whose systems a family of ours is; others only look like one on their boot partition. */
const SYSTEM_IDS: Record<string, readonly string[]> = {
  raspios: ['debian', 'raspbian'],
  clusterctrl: ['debian', 'raspbian'],
  hypriotos: ['debian', 'raspbian', 'hypriotos'],
  ubuntu: ['ubuntu'],
  debian: ['debian'],
  dietpi: ['debian', 'raspbian'],
}

/** Families whose releases are named by the layout of the image, not by its code name. */
const BY_LAYOUT = ['hypriotos', 'ubuntu', 'dietpi']

/** What the card was planned for. */
async function plannedFor(boot: BootFolder): Promise<{ family: string; release: string } | undefined> {
  const record = Buffer.from((await boot.read(NODE_RECORD)) ?? []).toString('utf8')
  const [, family, release = ''] = /"system":\s*"([a-z0-9]+)-([a-z0-9.]+)"/.exec(record) ?? []
  return family === undefined ? undefined : { family, release }
}

/** That, against what its root says it is. */
async function checkSystem({ boot, facts, findings }: FirstBoot): Promise<void> {
  const { ID, PRETTY_NAME, VERSION_CODENAME } = (await facts?.osRelease()) ?? {}
  const planned = await plannedFor(boot)
  if (planned === undefined || ID === undefined) return
  const { family, release } = planned
  const known = SYSTEM_IDS[family]
  const isOther = known !== undefined && !known.includes(ID)
  const isOtherRelease =
    !BY_LAYOUT.includes(family) && VERSION_CODENAME !== undefined && VERSION_CODENAME !== release
  if (!isOther && !isOtherRelease) return
  const name = PRETTY_NAME ?? [ID, VERSION_CODENAME].filter((part) => part !== undefined).join(' ')
  findings.fault(
    'first boot',
    '/etc/os-release',
    `the root is ${name}, and the boot partition was taken for ${family} ${release}`,
    isOther
      ? 'This system is not known here: take another image.'
      : `Say which it is: --os ${family}-${VERSION_CODENAME}, or os: in the cluster file.`,
  )
}

/** DietPi's own first boot takes both as they are, a carriage return included. */
async function checkPreScript({ boot, findings }: FirstBoot): Promise<void> {
  for (const path of [PRESCRIPT, 'dietpi.txt']) {
    const bytes = await boot.read(path)
    const text = bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
    if (text === undefined)
      findings.fault('first boot', path, "not found: DietPi's first boot starts this node's from it", AGAIN)
    else if (text.includes('\r'))
      findings.fault(
        'first boot',
        path,
        'it has carriage returns, which DietPi takes for part of the line',
        AGAIN,
      )
    else if (path === PRESCRIPT && !text.includes(INSTALL))
      findings.fault('first boot', path, `it does not start ${INSTALL}`, AGAIN)
  }
}

async function checkTrigger(card: FirstBoot): Promise<void> {
  const { boot, facts, tokens, place, findings } = card
  if ((await plannedFor(boot))?.family === 'dietpi') return checkPreScript(card)
  const mount = await facts?.bootMount()
  const at = (script: string, where: string) => {
    const [, folder] = /^(.*)\/piimage\/(?:install\.sh|init)$/.exec(script) ?? []
    if (folder === undefined || mount === undefined || folder === mount) return
    findings.fault(
      'first boot',
      where,
      `${script} is started, and /etc/fstab mounts the boot partition at ${mount}`,
      `It would not be there. ${AGAIN}`,
    )
  }
  const script = installedScript(tokens)
  if (script !== undefined) {
    at(script, place)
    if ((await facts?.has('systemd')) === true && (await facts?.has('systemd-run')) === false)
      findings.fault(
        'first boot',
        place,
        'systemd.run= starts the first boot, and this systemd has no systemd-run-generator',
        'The system is older than systemd 240. Say which it is with --os.',
      )
    return
  }
  const shell = tokens.find((token) => /\/piimage\/init"?$/.test(token))
  if (shell !== undefined)
    return at(/(?<![^\s"'=])(\/[^\s"'=]+\/piimage\/init)"?$/.exec(shell)?.[1] ?? '', place)
  const seed = await findStartingSeed(boot)
  // The first boot takes the secrets away, and its trigger with them.
  if (seed === undefined && (await boot.list(PAYLOAD)).some(({ name }) => name === 'secrets'))
    findings.fault('first boot', INSTALL, `nothing starts it: neither ${place} nor user-data names it`, AGAIN)
  if (seed === undefined) return
  at(seed.script, seed.path)
  const off = await facts?.cloudInit()
  if (tokens.includes('cloud-init=disabled'))
    findings.fault(
      'first boot',
      place,
      `cloud-init=disabled: nothing reads ${seed.path}`,
      `Take it out. ${AGAIN}`,
    )
  if (off === 'absent')
    findings.fault(
      'first boot',
      seed.path,
      'it starts the first boot, and the root has no cloud-init',
      'Say which system it is with --os, or use an image with cloud-init.',
    )
  else if (typeof off === 'object')
    findings.fault(
      'first boot',
      off.disabled,
      'it switches cloud-init off, and cloud-init starts the first boot',
      'Remove the file on the running system before the image is read from its card, or take a fresh image.',
    )
}

/** Another tool may have written it since: Raspberry Pi Imager does. */
async function checkPreseed({ boot, facts, findings }: FirstBoot): Promise<void> {
  const keys = preseedKeys(Buffer.from((await boot.read(PRESEED)) ?? []).toString('utf8'))
  if (keys.length === 0 || (await facts?.has('rpi-preseed')) !== true) return
  findings.fault(
    'first boot',
    PRESEED,
    `it sets ${keys.join(', ')} on the boot after, over what this node has`,
    `Remove it. ${AGAIN}`,
  )
}

/** A published image has it in vendor-data: its user-data is for whoever writes it. */
async function findStartingSeed(boot: BootFolder): Promise<{ path: string; script: string } | undefined> {
  for (const path of ['user-data', 'vendor-data']) {
    const text = Buffer.from((await boot.read(path)) ?? []).toString('utf8')
    const script = /(?<![^\s"'=[,(])(\/[^\s"'=[,(]+\/piimage\/install\.sh)/.exec(text)?.[1]
    if (script !== undefined) return { path, script }
  }
  return undefined
}

const WHOLE = [INSTALL, `${PAYLOAD}/run.sh`, `${PAYLOAD}/lib.sh`, `${PAYLOAD}/node.env`]

async function checkPayload({ boot, findings }: FirstBoot): Promise<void> {
  const text = async (path: string) => {
    const bytes = await boot.read(path)
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
  }
  const missing = (path: string, why: string) => findings.fault('first boot', path, why, AGAIN)
  for (const path of WHOLE) {
    const bytes = await boot.read(path)
    if (bytes === undefined || bytes.length === 0)
      missing(path, `${bytes === undefined ? 'not found' : 'empty'}: first boot needs it`)
    else if (bytes.includes(0x0d))
      missing(path, 'it has carriage returns, which a shell takes for part of the line')
  }
  // Gone once first boot has moved them: then nothing is looked for.
  const secrets = (await boot.list(PAYLOAD)).some(({ name }) => name === 'secrets')
  const wanted = new Map<string, string>()
  for (const line of ((await text(`${PAYLOAD}/files.list`)) ?? '').split('\n')) {
    const source = line.split(' ').at(-1) ?? ''
    if (source !== '') wanted.set(source, `${PAYLOAD}/files.list`)
  }
  for (const folder of ['early.d', 'firstboot.d'])
    for (const { name } of await boot.list(`${PAYLOAD}/${folder}`)) {
      const step = `${PAYLOAD}/${folder}/${name}`
      // What a step reads whatever happens stands at the start of a line of its own.
      for (const [, secret] of ((await text(step)) ?? '').matchAll(/^\S.*<"\$secrets\/([\w.-]+)"/gm))
        wanted.set(`secrets/${secret}`, step)
    }
  for (const [source, asker] of wanted) {
    if (source.startsWith('secrets/') && !secrets) continue
    if ((await boot.read(`${PAYLOAD}/${source}`)) === undefined)
      missing(`${PAYLOAD}/${source}`, `not found: ${asker} asks for it`)
  }
}
