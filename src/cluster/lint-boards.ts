/** Rules about boards and images: does this image boot on this model? */

import { suggest } from '../nearest.ts'
import { boards, DEFAULT_MODEL } from './boards.ts'
import { pick } from './layers.ts'
import type { Rule } from './rule.ts'

/** Systems whose 32-bit images are built for ARMv6, and those whose are built for ARMv7; of others it is not known. */
const armv6Systems = ['raspios', 'raspbian', 'hypriotos', 'clusterctrl']
const armv7Systems = ['ubuntu', 'armbian']

/** Every node says, or inherits, what it is and what runs on it. */
export const modelAndImageGiven: Rule = ({ drafts, judge }) => {
  for (const draft of drafts) {
    if (pick(draft, 'model') === undefined)
      judge.mistake(
        draft.path,
        `${draft.name} has no "model"`,
        `say which Raspberry Pi it is: model: ${DEFAULT_MODEL}`,
        'key',
      )
    if (pick(draft, 'image') === undefined)
      judge.mistake(
        draft.path,
        `${draft.name} has no "image"`,
        'give one here, in its group, or at the top for all nodes',
        'key',
      )
  }
}

export const imageInLock: Rule = ({ drafts, judge }) => {
  const known = judge.options.imageKeys
  if (known === undefined) return
  for (const draft of drafts) {
    const image = pick(draft, 'image')
    if (image?.value === undefined || known.includes(image.value)) continue
    const kinds = judge.options.images?.kindsNamed(image.value) ?? []
    if (kinds.length > 1) {
      judge.mistake(
        image.path,
        `${image.value} is the name of ${kinds.length} kinds of image`,
        `say which: ${kinds.join(', ')}`,
      )
      continue
    }
    const hint = suggest(image.value, known, 'images')
    judge.mistake(
      image.path,
      `the image ${image.value} is not in the lock`,
      hint.startsWith('did you') ? hint : `${hint}; piimage images lock adds one`,
    )
  }
}

/** The CPU runs what the image holds. */
export const imageFitsModel: Rule = ({ drafts, judge }) => {
  for (const draft of drafts) {
    const model = pick(draft, 'model')?.value
    const image = pick(draft, 'image')
    if (model === undefined || image?.value === undefined) continue
    const facts = judge.options.imageOf?.(image.value)
    if (facts === undefined) continue
    const { os, version, arch } = facts
    const { title, cpu, since } = boards[model]
    const at = image.path[0] === 'nodes' ? image.path : draft.path
    const part = image.path[0] === 'nodes' ? 'value' : 'key'
    if (arch === 'arm64' && cpu !== 'armv8')
      judge.mistake(
        at,
        `${draft.name} is a ${title} (${cpu}, 32-bit), and ${image.value} is a 64-bit image`,
        'give it an armhf image',
        part,
      )
    if (arch === 'armhf' && cpu === 'armv6' && armv7Systems.includes(os ?? ''))
      judge.mistake(
        at,
        `${draft.name} is a ${title} (ARMv6), and ${image.value} is built for ARMv7`,
        'give it a Raspberry Pi OS armhf image',
        part,
      )
    else if (arch === 'armhf' && cpu === 'armv6' && !armv6Systems.includes(os ?? ''))
      judge.warn(
        at,
        `${draft.name} is a ${title} (ARMv6), and ${image.value} may be built for ARMv7`,
        'Raspberry Pi OS armhf images run on ARMv6',
        part,
      )
    const date = /^\d{4}-\d{2}-\d{2}/.exec(version)?.[0]
    if (since !== null && date !== undefined && date < since)
      judge.warn(
        at,
        `${image.value} is older than the ${title} and may not boot on it`,
        `take an image of ${since} or later`,
        part,
      )
  }
}
