/** Rules about single nodes: radio, cables, router, network boot, log-in, overlays. */

import { suggest } from '../nearest.ts'
import { boards } from './boards.ts'
import { headDraft } from './draft.ts'
import { variantsOf } from './known/keyboards.ts'
import { accountsOf, hasMap, networksOf, pick, pickField, pickOneOf } from './layers.ts'
import type { Rule } from './rule.ts'
import { show } from './schema-check.ts'

export const overlaysKnown: Rule = ({ drafts, judge }) => {
  const known = judge.options.overlayNames
  const mandatory = judge.options.features.filter((feature) => feature.mandatory).map(({ name }) => name)
  for (const { mentions } of drafts)
    for (const { name, parameters, path, part } of mentions) {
      if (known !== undefined && !known.includes(name))
        judge.mistake(path, `there is no overlay ${name}`, suggest(name, known, 'overlays'), part)
      if (mandatory.includes(name) && parameters === false)
        judge.mistake(path, `the overlay ${name} can't be taken away`, 'every node has its name', part)
    }
}

export const wifiOnBoard: Rule = ({ drafts, judge }) => {
  for (const draft of drafts) {
    const model = pick(draft, 'model')?.value
    if (model === undefined || boards[model].wifi || !hasMap(draft, 'wifi')) continue
    const own = pick(draft, 'wifi')?.path[0] === 'nodes'
    judge.mistake(
      own ? [...draft.path, 'wifi'] : draft.path,
      `${draft.name} is a ${boards[model].title}, which has no Wi-Fi`,
      own ? 'remove wifi here' : 'give it wifi: false',
      'key',
    )
  }
}

export const anyNetwork: Rule = ({ drafts, judge }) => {
  const networks = judge.options.features.filter(({ isNetwork }) => isNetwork).map(({ name }) => name)
  for (const draft of drafts) {
    const model = pick(draft, 'model')?.value
    if (model === undefined || draft.hat !== undefined) continue
    const { ethernet, wifi, title } = boards[model]
    if (
      ethernet ||
      (wifi && hasMap(draft, 'wifi') && networksOf(draft).some(({ said }) => said('ssid') !== undefined))
    )
      continue
    if (
      draft.overlays.some(({ name }) => networks.includes(name)) ||
      Object.hasOwn(draft.layers.at(-1)?.settings ?? {}, 'interface')
    )
      continue
    judge.warn(
      draft.path,
      `${draft.name} is a ${title} without any network`,
      wifi ? 'give it wifi, or clusterhat' : `give it clusterhat, or the overlay ${networks.join(' or ')}`,
      'key',
    )
  }
}

export const routerPorts: Rule = ({ drafts, judge }) => {
  for (const draft of drafts) {
    const router = pick(draft, 'router')
    if (router?.value?.uplink === undefined || router.value.lan === undefined) continue
    const { uplink, lan } = router.value
    const [first] = draft.interfaces
    const model = pick(draft, 'model')?.value
    if (uplink === lan)
      judge.mistake(
        [...router.path, 'lan'],
        `${draft.name} routes from ${uplink} to itself`,
        'uplink faces the outside, lan the cluster',
      )
    if (uplink.startsWith('wlan') && !hasMap(draft, 'wifi'))
      judge.mistake(
        [...router.path, 'uplink'],
        `${draft.name} has its uplink on ${uplink} and no wifi`,
        'add wifi: { ssid, passphraseFile, country }',
      )
    if (model !== undefined && !boards[model].ethernet && uplink === 'eth0')
      judge.warn(
        [...router.path, 'uplink'],
        `a ${boards[model].title} has no Ethernet of its own`,
        'with a USB adapter it is eth0',
      )
    if (first?.name !== lan)
      judge.mistake(
        [...router.path, 'lan'],
        `${draft.name} faces the cluster with ${first?.name} and routes for ${lan}`,
        `the two are one: lan: ${first?.name}`,
      )
    else if (first.address === undefined)
      judge.mistake(
        [...router.path, 'lan'],
        `${draft.name} is the router and has no fixed address on ${lan}`,
        'give it an address, as in address: 10.3.50.1/24',
      )
  }
}

export const netbootPossible: Rule = ({ file, drafts, judge }) => {
  const server = file.netroot?.server ?? headDraft(drafts)?.name
  for (const draft of drafts) {
    const boot = pick(draft, 'boot')
    if (boot?.value !== 'net') continue
    const model = pick(draft, 'model')?.value
    const own =
      boot.path[0] === 'nodes'
        ? { path: boot.path, part: 'value' as const }
        : { path: draft.path, part: 'key' as const }
    const slot = draft.hat?.role === 'slot'
    if (draft.name === server)
      judge.mistake(
        own.path,
        `${draft.name} serves the diskless nodes and can't be one`,
        'give it boot: card',
        own.part,
      )
    if (model !== undefined && boards[model].netboot === 'usb' && !slot)
      judge.mistake(
        own.path,
        `${draft.name} is a ${boards[model].title}, which can't boot from the network`,
        'boot: card; or clusterhat: p1 for USB boot',
        own.part,
      )
    if (model !== undefined && boards[model].netboot === 'bootcode')
      judge.warn(
        own.path,
        `${draft.name} is a ${boards[model].title}: it boots from the network only with a card that holds bootcode.bin`,
        'piimage bake --bootcode makes one',
        own.part,
      )
    if (draft.interfaces[0]?.name.startsWith('wlan'))
      judge.mistake(
        own.path,
        `${draft.name} faces the cluster over Wi-Fi, and no Pi boots over that`,
        'boot: card, or an Ethernet interface',
        own.part,
      )
    if (!slot && pick(draft, 'mac') === undefined && pick(draft, 'serial') === undefined)
      judge.warn(
        own.path,
        `${draft.name} boots from the network, and neither mac nor serial says which board it is`,
        'it stands on the board, and in `cat /proc/cpuinfo` of a booted one',
        own.part,
      )
  }
}

export const somebodyMayLogIn: Rule = ({ file, drafts, judge }) => {
  for (const draft of drafts) {
    if (!hasMap(draft, 'user')) {
      const everywhere = drafts.every((other) => !hasMap(other, 'user')) && !Object.hasOwn(file, 'user')
      judge.warn(
        everywhere ? ['nodes'] : draft.path,
        `${everywhere ? 'no node' : draft.name} has a user: current images let nobody in then`,
        'add user: { name: ops, sshKeys: [~/.ssh/id_ed25519.pub] }',
        'key',
      )
      continue
    }
    const keys = pickField(draft, 'user', 'sshKeys')
    const password = pickOneOf(draft, 'user', ['passwordHash', 'passwordFile'])
    if (password.length === 0 && (keys === undefined || keys.value?.length === 0))
      judge.warn(
        pick(draft, 'user')?.path ?? draft.path,
        'the user has neither a key nor a password',
        'add sshKeys: [~/.ssh/id_ed25519.pub]',
        'key',
      )
  }
}

export const keymapVariants: Rule = ({ drafts, judge }) => {
  for (const draft of drafts) {
    const variant = pickField(draft, 'locale', 'keymapVariant')
    const layout = pickField(draft, 'locale', 'keymap')?.value
    if (variant?.value === undefined) continue
    const variants = layout === undefined ? undefined : variantsOf(layout)
    if (layout === undefined)
      judge.mistake(variant.path, 'a variant belongs to a layout', 'give keymap too: keymap: us')
    else if (variants !== undefined && !variants.includes(variant.value))
      judge.mistake(
        variant.path,
        `the layout ${layout} has no variant ${show(variant.value)}`,
        suggest(variant.value, variants, 'variants'),
      )
  }
}

/** Releases whose crypt(3) is glibc's own: it knows MD5 and SHA, and neither yescrypt nor bcrypt. */
const beforeLibxcrypt = ['wheezy', 'jessie', 'stretch', 'buster', 'trusty', 'xenial', 'bionic']
/** Releases whose wpa_supplicant was built without SAE. */
const withoutSae = ['wheezy', 'jessie', 'stretch', 'trusty', 'xenial', 'bionic']

/** What the image's release can make of a password hash and of a Wi-Fi. */
export const releaseKnows: Rule = ({ drafts, judge }) => {
  for (const draft of drafts) {
    const image = pick(draft, 'image')?.value
    const facts = image === undefined ? undefined : judge.options.imageOf?.(image)
    if (facts === undefined) continue
    const isOld = (releases: readonly string[]) =>
      facts.os === 'hypriotos' || releases.includes(facts.release ?? '')
    for (const { said } of accountsOf(draft)) {
      const hash = said('passwordHash')
      const method = /^\$(y|gy|7|2[aby])\$/.exec(hash?.value ?? '')?.[1]
      if (hash !== undefined && method !== undefined && isOld(beforeLibxcrypt))
        judge.mistake(
          hash.path,
          `${draft.name}: ${image} knows no password hash of the kind $${method}$`,
          'make one with: openssl passwd -6',
        )
    }
    for (const { said } of networksOf(draft)) {
      const security = said('security')
      if (security?.value?.includes('wpa3') && isOld(withoutSae))
        judge.mistake(
          security.path,
          `${draft.name}: the wpa_supplicant of ${image} speaks no WPA3`,
          'give it a newer image, or an access point that speaks WPA2',
        )
    }
  }
}
