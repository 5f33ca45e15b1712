/**
 * A node's values against the root that will read them: its accounts, time
 * zones, keyboards and locales. What a root doesn't list is not judged here;
 * the cluster file's own rules were applied before.
 *
 * Source: useradd(8); tzdata; xkb-data, rules/base.lst; locale-gen(8).
 */
import { nearestZone, olderNamesOf } from '../cluster/known/time-zones.ts'
import type { Node } from '../cluster/node.ts'
import { FormatError, type Mistake, MistakesError } from '../errors.ts'
import { suggest } from '../nearest.ts'
import type { RootFacts } from '../root/root-facts.ts'

/** Accounts below belong to the system, as in login.defs of Debian. */
const FIRST_USER = 1000

interface Complaint {
  message: string
  hint: string
}

/**
 * @returns the node, its time zone by the name that the root has
 * @throws {MistakesError} every value that this root has no use for, with its place
 */
export async function fitToRoot(node: Node, root: RootFacts): Promise<Node> {
  const mistakes: Mistake[] = []
  const judge = async (key: string, find: () => Promise<Complaint | undefined>) => {
    const complaint = await unlessDamaged(find)
    if (complaint === undefined) return
    const { message, hint } = complaint
    mistakes.push({ ...(node.places?.get(key) ?? node.place), message: `${node.name}: ${message}`, hint })
  }
  const { timezone, keymap, keymapVariant, locale } = node.locale
  const zone = timezone === undefined ? undefined : await unlessDamaged(() => zoneIn(root, timezone))
  for (const { name } of node.user === undefined ? [] : [node.user, ...(node.user.others ?? [])])
    await judge(`user ${name}`, () => judgeAccount(root, name))
  for (const { name, shell } of node.user?.others ?? [])
    await judge(`shell ${name}`, () => judgeShell(root, shell))
  if (timezone !== undefined && zone === undefined)
    await judge('timezone', () => judgeZone(root, timezone, node.image))
  if (keymap !== undefined) {
    await judge('keymap', () => judgeLayout(root, keymap))
    if (keymapVariant !== undefined)
      await judge('keymapVariant', () => judgeVariant(root, keymap, keymapVariant))
  }
  if (locale !== undefined) await judge('locale', () => judgeLocale(root, locale))
  if (mistakes.length > 0) throw new MistakesError(mistakes)
  return zone === undefined ? node : { ...node, locale: { ...node.locale, timezone: zone } }
}

/** Whoever judges the image itself tells of damage. */
async function unlessDamaged<T>(find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find()
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

async function judgeAccount(root: RootFacts, name: string): Promise<Complaint | undefined> {
  const account = (await root.accounts()).find((one) => one.name === name)
  const group = (await root.groups()).find((one) => one.name === name)
  const hint = `choose another name, such as ${name}1 or ops`
  if (account !== undefined)
    return account.id >= FIRST_USER
      ? undefined
      : { message: `${JSON.stringify(name)} is an account of the image's own (uid ${account.id})`, hint }
  // useradd makes a group of that name, and refuses when there is one.
  return group === undefined || group.id >= FIRST_USER
    ? undefined
    : { message: `${JSON.stringify(name)} is a group of the image's own (gid ${group.id})`, hint }
}

async function judgeShell(root: RootFacts, shell: string): Promise<Complaint | undefined> {
  // Without any shell it is no root that could be asked.
  if ((await root.files.has(shell)) || !(await root.files.has('/bin/sh'))) return undefined
  return { message: `the image has no shell ${JSON.stringify(shell)}`, hint: 'for example /bin/bash' }
}

/** By its own name, or by an older one on a system from before it was renamed. */
async function zoneIn(root: RootFacts, zone: string): Promise<string | undefined> {
  const zones = await root.timeZones()
  for (const name of [zone, ...olderNamesOf(zone)]) {
    const found = await zones?.canonical(name)
    if (found !== undefined) return found
  }
  return undefined
}

async function judgeZone(root: RootFacts, zone: string, image: string): Promise<Complaint | undefined> {
  const zones = await root.timeZones()
  if (zones === undefined) return undefined
  const near = zones.listed.length === 0 ? nearestZone(zone) : undefined
  const hint = near === undefined ? suggest(zone, [...zones.listed], 'zones') : `did you mean ${near}?`
  return { message: `${image} knows no time zone ${JSON.stringify(zone)}`, hint }
}

async function judgeLayout(root: RootFacts, layout: string): Promise<Complaint | undefined> {
  const layouts = (await root.keyboards())?.layouts
  if (layouts === undefined || layouts.size === 0 || layouts.has(layout)) return undefined
  return {
    message: `the image has no keyboard layout ${JSON.stringify(layout)}`,
    hint: suggest(layout, [...layouts], 'layouts'),
  }
}

async function judgeVariant(
  root: RootFacts,
  layout: string,
  variant: string,
): Promise<Complaint | undefined> {
  const keyboards = await root.keyboards()
  const variants = keyboards?.variants.get(layout) ?? new Set()
  if (!keyboards?.layouts.has(layout) || variants.has(variant)) return undefined
  return {
    message: `the image's layout ${layout} has no variant ${JSON.stringify(variant)}`,
    hint: suggest(variant, [...variants], 'variants'),
  }
}

/** Without the list of what locale-gen can make nothing is certain. */
async function judgeLocale(root: RootFacts, locale: string): Promise<Complaint | undefined> {
  const locales = await root.locales()
  if (locales === undefined || locales.supported.size === 0) return undefined
  const plain = (name: string) => name.toLowerCase().replaceAll('-', '')
  const known = ['C', 'POSIX', 'C.UTF-8', ...locales.supported, ...locales.made]
  if (known.some((name) => plain(name) === plain(locale))) return undefined
  return {
    message: `the image can make no locale ${JSON.stringify(locale)}`,
    hint: suggest(locale, [...locales.supported], 'locales'),
  }
}
